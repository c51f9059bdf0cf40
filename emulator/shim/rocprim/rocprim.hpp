// rocPRIM's moves between lanes.
#pragma once
#include <hip/hip_runtime.h>

namespace rocprim {
namespace detail {
template <typename T, int control, int row_mask = 0xf, int bank_mask = 0xf, bool bound_ctrl = false>
inline __device__ T warp_move_dpp(T value)
{
    static_assert(sizeof(T) == 4);
    return __builtin_bit_cast(T,
                              __builtin_amdgcn_mov_dpp(__builtin_bit_cast(int, value),
                                                       control,
                                                       row_mask,
                                                       bank_mask,
                                                       bound_ctrl));
}
} // namespace detail
template <typename T>
inline __device__ T warp_shuffle(T value, int lane, int width = 64)
{
    return __shfl(value, lane, width);
}
} // namespace rocprim
