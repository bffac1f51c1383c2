"""Ops that cost nothing, each with the reason. What is neither here, nor a view, nor has a formula, is unknown.

`MOVES_DATA` holds under every convention. `NO_INNER_PRODUCT` holds where only MACs count: these ops do arithmetic
that has no exact count, such as a sort, but none of it is a multiply-accumulate.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_COPIES = "copies data"
_MAKES = "makes a tensor without arithmetic"
_SELECTS = "selects or rearranges elements"
_RANDOM = "draws random numbers, by a generator whose cost is not the model's"
_CHECKS = "reads or checks values"

MOVES_DATA: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "aten::clone aten::copy_ aten::copy aten::_to_copy aten::contiguous aten::lift_fresh aten::lift "
                "aten::lift_fresh_copy aten::_unsafe_view aten::_reshape_copy aten::view_copy aten::expand_copy "
                "aten::permute_copy aten::transpose_copy aten::alias_copy aten::detach_ aten::_conj aten::resolve_conj "
                "aten::resolve_neg aten::_neg_view aten::as_strided_ aten::squeeze_ aten::unsqueeze_ aten::t_ "
                "aten::transpose_ aten::set_ aten::resize_ aten::complex aten::view_as_real aten::view_as_complex"
            ).split(),
            _COPIES,
        ),
        **dict.fromkeys(
            (
                "aten::empty aten::empty_like aten::empty_strided aten::new_empty aten::new_empty_strided "
                "aten::new_zeros aten::new_ones aten::new_full aten::zeros aten::zeros_like aten::ones "
                "aten::ones_like aten::full aten::full_like aten::fill aten::fill_ aten::zero_ aten::arange "
                "aten::linspace aten::eye aten::scalar_tensor aten::tril_indices aten::triu_indices "
                "aten::_efficientzerotensor"
            ).split(),
            _MAKES,
        ),
        **dict.fromkeys(
            (
                "aten::cat aten::stack aten::constant_pad_nd aten::reflection_pad1d aten::reflection_pad2d "
                "aten::reflection_pad3d aten::replication_pad1d aten::replication_pad2d aten::replication_pad3d "
                "aten::roll aten::flip aten::repeat aten::repeat_interleave aten::tril aten::tril_ aten::triu "
                "aten::triu_ aten::index aten::index_select aten::gather aten::take aten::take_along_dim "
                "aten::embedding aten::masked_select aten::nonzero aten::scatter aten::scatter_ aten::index_put "
                "aten::index_put_ aten::index_copy aten::index_copy_ aten::index_fill aten::index_fill_ "
                "aten::select_scatter aten::slice_scatter aten::diagonal_scatter aten::as_strided_scatter "
                "aten::masked_scatter aten::pixel_shuffle aten::pixel_unshuffle aten::channel_shuffle aten::im2col "
                "aten::unfold_copy aten::block_diag aten::diag_embed aten::one_hot aten::native_channel_shuffle "
                "aten::max_unpool2d aten::max_unpool3d aten::split_copy aten::_pack_padded_sequence "
                "aten::_pad_packed_sequence aten::split_with_sizes_copy aten::unbind_copy"
            ).split(),
            _SELECTS,
        ),
        **dict.fromkeys(
            (
                "aten::rand aten::randn aten::rand_like aten::randn_like aten::randint aten::randint_like "
                "aten::randperm aten::bernoulli aten::bernoulli_ aten::uniform_ aten::normal_ aten::random_ "
                "aten::normal aten::multinomial aten::exponential_"
            ).split(),
            _RANDOM,
        ),
        **dict.fromkeys(
            (
                "aten::_local_scalar_dense aten::item aten::is_nonzero aten::equal aten::_assert_async "
                "aten::_assert_tensor_metadata aten::sym_size aten::sym_numel aten::sym_stride aten::any aten::all "
                "aten::is_same_size aten::record_stream"
            ).split(),
            _CHECKS,
        ),
    }
)

NO_INNER_PRODUCT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            "aten::sort aten::argsort aten::topk aten::kthvalue aten::median aten::unique aten::_unique2 "
            "aten::unique_dim aten::searchsorted aten::bucketize aten::mode aten::histc aten::bincount".split(),
            "orders or counts elements by comparing them",
        ),
        **dict.fromkeys(
            "aten::scatter_add aten::scatter_add_ aten::index_add aten::index_add_ aten::scatter_reduce "
            "aten::cumprod aten::cummax aten::cummin aten::logcumsumexp aten::col2im".split(),
            "adds or multiplies elements one by one; no product is accumulated over a pair of operands",
        ),
        **dict.fromkeys(
            "aten::_upsample_bilinear2d_aa aten::_upsample_bicubic2d_aa aten::grid_sampler_2d "
            "aten::grid_sampler_3d".split(),
            "interpolation, whose weights are positions and not a second operand",
        ),
    }
)
