// Nothing of it is needed here but what hip_runtime.h states.
#pragma once
#include <hip/hip_runtime.h>
