// A bare number does not become an id by passing it: the caller says which id it is.
// expect: (could not convert|no viable conversion|no matching function|cannot convert)
#include "mneme/base/ids.h"

void trim(mneme::Lsn up_to);

void all() {
#ifdef MNEME_RIGHT
  trim(mneme::Lsn{7});
#else
  trim(7);
#endif
}
