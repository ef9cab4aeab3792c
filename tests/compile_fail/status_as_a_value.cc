// MNEME_ASSIGN takes a Result: a Status holds no value to assign.
// expect: (no member named|has no member named)
#include "mneme/base/result.h"

mneme::Status sync();
mneme::Result<int> count();

mneme::Status run() {
#ifdef MNEME_RIGHT
  MNEME_ASSIGN(const int found, count());
#else
  MNEME_ASSIGN(const int found, sync());
#endif
  return found > 0 ? mneme::ok_status() : mneme::Status(mneme::Code::NotFound, "nothing");
}
