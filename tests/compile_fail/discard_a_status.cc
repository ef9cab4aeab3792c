// A Status that nobody looks at is a failure that nobody hears of.
// expect: (ignoring return value|ignoring returned value|nodiscard)
#include "mneme/base/result.h"

mneme::Status sync();

void forget() {
#ifdef MNEME_RIGHT
  if (!sync()) return;
#else
  sync();
#endif
}
