// In the place of aiter's header of this name, whose device part is the size of a wave.
#pragma once
#include "ck_tile/core.hpp"
#include <hip/hip_runtime.h>

#ifndef WARP_SIZE
#define WARP_SIZE 64
#endif
