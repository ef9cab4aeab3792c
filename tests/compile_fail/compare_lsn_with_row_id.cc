// A position in the log and a row number are both 64 bits and have nothing to do with each other.
// expect: (no match for .*operator<|invalid operands)
#include "mneme/base/ids.h"

bool before(mneme::Lsn lsn, mneme::RowId row) {
#ifdef MNEME_RIGHT
  return lsn < mneme::Lsn{1} && row < mneme::RowId{1};
#else
  return lsn < row;
#endif
}
