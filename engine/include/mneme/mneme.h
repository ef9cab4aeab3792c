// Everything an application needs, in one include.
#pragma once

#include "mneme/database.h"
#include "mneme/embedder.h"
#include "mneme/version.h"
