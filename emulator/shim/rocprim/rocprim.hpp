// rocPRIM's moves between lanes, 32 bits at a time.
#pragma once
#include <hip/hip_runtime.h>

namespace rocprim {
namespace detail {
template <typename T, typename F>
inline __device__ T word_by_word(T value, F move)
{
    static_assert(sizeof(T) % sizeof(int) == 0);
    struct words
    {
        int each[sizeof(T) / sizeof(int)];
    };
    words held = __builtin_bit_cast(words, value);
    for(int& word : held.each)
        word = move(word);
    return __builtin_bit_cast(T, held);
}

template <typename T, int control, int row_mask = 0xf, int bank_mask = 0xf, bool bound_ctrl = false>
inline __device__ T warp_move_dpp(T value)
{
    return word_by_word(value, [](int word) {
        return __builtin_amdgcn_mov_dpp(word, control, row_mask, bank_mask, bound_ctrl);
    });
}
} // namespace detail

template <typename T>
inline __device__ T warp_shuffle(T value, int lane, int width = 64)
{
    return detail::word_by_word(value, [=](int word) { return __shfl(word, lane, width); });
}
} // namespace rocprim
