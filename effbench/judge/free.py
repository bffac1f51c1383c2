"""Ops that cost nothing, each with the reason. What is neither here, nor a view, nor has a formula, is unknown.

`MOVES_DATA` holds under every convention. `NO_INNER_PRODUCT` holds where only MACs count: these ops do arithmetic
that has no exact count, such as a sort, but none of it is a multiply-accumulate. `NOT_IN_MACS` is the opposite: there
is a count of all operations, and whether MACs are among them cannot be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _table(groups: Mapping[str, str]) -> Mapping[str, str]:
    """Returns reason by op, from texts of op names by reason; a name without a namespace is ATen's."""
    return MappingProxyType(
        {
            name if "::" in name else f"aten::{name}": reason
            for reason, names in groups.items()
            for name in names.split()
        }
    )


MOVES_DATA: Mapping[str, str] = _table(
    {
        "copies data": """
            clone copy_ copy _to_copy contiguous lift_fresh lift lift_fresh_copy _unsafe_view _reshape_copy detach_
            _conj _conj_physical resolve_conj resolve_neg _neg_view as_strided_ squeeze_ unsqueeze_ t_ transpose_ set_
            set resize resize_ resize_as resize_as_ complex view_as_real view_as_complex _lazy_clone _pin_memory
            view_copy expand_copy permute_copy transpose_copy alias_copy as_strided_copy detach_copy diagonal_copy
            select_copy slice_copy squeeze_copy unsqueeze_copy t_copy narrow_copy view_as_complex_copy
            view_as_real_copy values_copy indices_copy _conj_copy _neg_view_copy _reshape_alias_copy
            _fw_primal_copy _make_dual_copy _copy_from _copy_from_and_resize copy_sparse_to_sparse_ int_repr
        """,
        "makes a tensor without arithmetic": """
            empty empty_like empty_strided new_empty new_empty_strided new_zeros new_ones new_full zeros zeros_like ones
            ones_like full full_like fill fill_ zero_ arange range linspace eye scalar_tensor tril_indices triu_indices
            _efficientzerotensor empty_permuted empty_quantized _empty_affine_quantized
            _empty_per_channel_affine_quantized _new_zeros_with_same_feature_meta fft_fftfreq fft_rfftfreq
        """,
        "selects or rearranges elements": """
            cat stack constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
            replication_pad2d replication_pad3d roll rot90 unsafe_split unsafe_split_with_sizes flip repeat
            repeat_interleave tril tril_ triu triu_ index index_select gather take take_along_dim embedding
            masked_select nonzero nonzero_static scatter scatter_ index_copy index_copy_ index_fill index_fill_
            select_scatter
            slice_scatter diagonal_scatter as_strided_scatter masked_scatter masked_scatter_ pixel_shuffle
            pixel_unshuffle channel_shuffle native_channel_shuffle im2col unfold_copy block_diag diag_embed one_hot
            max_unpool2d max_unpool3d split_copy _pack_padded_sequence _pad_packed_sequence split_with_sizes_copy
            unbind_copy _stack _chunk_cat _unsafe_index _unsafe_masked_index lu_unpack
        """,
        "changes how a tensor is stored": """
            to_mkldnn _mkldnn_reshape _mkldnn_transpose _mkldnn_transpose_ mkldnn_reorder_conv2d_weight
            mkldnn_reorder_conv3d_weight _cudnn_rnn_flatten_weight _to_dense _to_sparse _to_sparse_csr _to_sparse_csc
            _to_sparse_bsr _to_sparse_bsc sparse_mask sparse_coo_tensor sparse_compressed_tensor
            _sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors _sparse_compressed_tensor_with_dims
            _coalesced _coalesced_ _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
            to_padded_tensor _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward _nested_from_padded
            _nested_from_padded_tensor _nested_from_padded_and_nested_example _nested_tensor_from_mask
            _nested_tensor_from_tensor_list _nested_view_from_buffer_copy _nested_view_from_jagged_copy
            _nested_get_values_copy _make_per_tensor_quantized_tensor _make_per_channel_quantized_tensor
            quantized::linear_prepack quantized::conv1d_prepack quantized::conv2d_prepack quantized::conv3d_prepack
            quantized::linear_unpack quantized::conv1d_unpack quantized::conv2d_unpack quantized::conv3d_unpack
        """,
        "draws random numbers, by a generator whose cost is not the model's": """
            rand randn rand_like randn_like randint randint_like randperm bernoulli bernoulli_ uniform uniform_ normal_
            random random_ normal normal_functional multinomial exponential exponential_ poisson binomial cauchy_
            geometric_ log_normal_ _standard_gamma _sample_dirichlet
        """,
        "reads or checks values": """
            _local_scalar_dense item is_nonzero equal allclose _assert_async _assert_scalar _functional_assert_async
            _functional_assert_scalar _assert_tensor_metadata sym_size sym_numel sym_stride sym_constrain_range
            sym_constrain_range_for_size any all _is_all_true _is_any_true is_same_size is_set_to is_pinned
            _has_same_storage_numel record_stream _linalg_check_errors _fused_sdp_choice _nnz sparse_dim dense_dim
            is_coalesced _dimI _dimV _validate_compressed_sparse_indices q_scale q_zero_point q_per_channel_scales
            q_per_channel_zero_points q_per_channel_axis qscheme _nested_tensor_size _nested_tensor_strides
            _nested_tensor_storage_offsets _nested_get_offsets _nested_get_lengths _nested_get_ragged_idx
            _nested_get_min_seqlen _nested_get_max_seqlen _nested_get_jagged_dummy
            _nested_compute_contiguous_strides_offsets
            profiler::_record_function_enter profiler::_record_function_enter_new profiler::_record_function_exit
        """,
    }
)

NO_INNER_PRODUCT: Mapping[str, str] = _table(
    {
        "orders or counts elements by comparing them": """
            argsort topk kthvalue median nanmedian mode _unique _unique2 unique_dim unique_consecutive
            unique_dim_consecutive searchsorted bucketize histc histogram bincount isin count_nonzero _aminmax
            torchvision::nms torchvision::qnms
        """,
        "adds or multiplies elements one by one; no product is accumulated over a pair of operands": """
            scatter_reduce scatter_reduce_ index_reduce index_reduce_
            segment_reduce cumprod cumprod_ cummax cummin _cummax_helper _cummin_helper logcumsumexp _logcumsumexp
            col2im unfold_backward put put_ _coalesce _sparse_sum _sparse_csr_sum _sparse_csr_prod
        """,
        "is computed element by element": """
            _masked_softmax _nested_tensor_softmax_with_shape _sparse_softmax _sparse_log_softmax _add_relu _add_relu_
            _masked_scale _fused_dropout xlogy_ copysign_ heaviside_ gcd_ lcm_ __lshift__ __rshift__ __ilshift__
            __irshift__ bartlett_window blackman_window kaiser_window logspace
            _transform_bias_rescale_qkv _fake_quantize_learnable_per_tensor_affine
            _fake_quantize_learnable_per_channel_affine _fused_moving_avg_obs_fq_helper quantize_per_tensor_dynamic
            quantized::add_scalar quantized::add_scalar_relu quantized::mul_scalar quantized::mul_scalar_relu
            quantized::celu quantized::clamp quantized::elu quantized::hardswish quantized::leaky_relu quantized::prelu
            quantized::relu6 quantized::sigmoid quantized::softmax quantized::threshold quantized::dropout
            quantized::cat quantized::cat_relu
        """,
        "normalises, or measures a length": """
            renorm renorm_ embedding_renorm embedding_renorm_ native_norm dist batch_norm_stats batch_norm_elemt
            batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_update_stats quantized_batch_norm
            quantized::batch_norm quantized::batch_norm_relu quantized::batch_norm1d quantized::batch_norm1d_relu
            quantized::batch_norm2d quantized::batch_norm2d_relu quantized::batch_norm3d quantized::batch_norm3d_relu
            quantized::layer_norm quantized::instance_norm quantized::group_norm
        """,
        "pools, or sums the rows of a table": """
            quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d quantized::max_pool1d quantized::max_pool2d
            quantized::embedding_byte quantized::embedding_4bit quantized::embedding_bag_byte
            quantized::embedding_bag_4bit torchvision::roi_pool torchvision::ps_roi_pool
        """,
        "a loss: compares outputs with targets one by one and adds up": """
            mse_loss smooth_l1_loss huber_loss nll_loss_forward nll_loss2d_forward binary_cross_entropy
            binary_cross_entropy_with_logits soft_margin_loss multi_margin_loss multilabel_margin_loss_forward
            _ctc_loss _cudnn_ctc_loss
        """,
        "interpolation, whose weights are positions and not a second operand": """
            _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa grid_sampler_2d grid_sampler_3d
            cudnn_grid_sampler _grid_sampler_2d_cpu_fallback torchvision::roi_align torchvision::qroi_align
            torchvision::ps_roi_align
        """,
        "a gradient of an op without inner products": """
            threshold_backward elu_backward gelu_backward glu_backward hardshrink_backward hardsigmoid_backward
            hardswish_backward hardtanh_backward leaky_relu_backward log_sigmoid_backward rrelu_with_noise_backward
            softplus_backward softshrink_backward _prelu_kernel_backward _softmax_backward_data
            _log_softmax_backward_data native_dropout_backward native_layer_norm_backward native_group_norm_backward
            native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward
            _fused_rms_norm_backward _weight_norm_interface_backward _adaptive_avg_pool2d_backward
            _adaptive_avg_pool3d_backward adaptive_max_pool2d_backward adaptive_max_pool3d_backward avg_pool2d_backward
            avg_pool3d_backward max_pool2d_with_indices_backward max_pool3d_with_indices_backward
            fractional_max_pool2d_backward fractional_max_pool3d_backward reflection_pad1d_backward
            reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward
            replication_pad3d_backward upsample_nearest1d_backward upsample_nearest2d_backward
            upsample_nearest3d_backward upsample_linear1d_backward upsample_bilinear2d_backward
            upsample_bicubic2d_backward upsample_trilinear3d_backward grid_sampler_2d_backward grid_sampler_3d_backward
            embedding_dense_backward select_backward slice_backward diagonal_backward masked_scatter_backward
            mse_loss_backward smooth_l1_loss_backward huber_loss_backward nll_loss_backward nll_loss2d_backward
            binary_cross_entropy_backward soft_margin_loss_backward multi_margin_loss_backward
            multilabel_margin_loss_backward _ctc_loss_backward
        """,
    }
)

NOT_IN_MACS: Mapping[str, str] = _table(
    {
        "a product with a matrix by definition and none by its algorithm: whether it has MACs is not for us to say": """
            _fft_c2c _fft_c2r _fft_r2c
        """,
    }
)
"""Ops with a formula that holds where every operation counts, and not where only MACs do."""
