// A Result that nobody looks at is a failure that nobody hears of.
// expect: (ignoring return value|ignoring returned value|nodiscard)
#include "mneme/base/result.h"

mneme::Result<int> count();

void forget() {
#ifdef MNEME_RIGHT
  if (!count()) return;
#else
  count();
#endif
}
