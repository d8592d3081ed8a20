#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"

namespace mdl::engine
{

static const mdl_backend_t cuda = {
    .name = "cuda",
    .on_host = 0,
    .bfloat16 = 0,
    .room = &mdl_backend_room_cuda,
    .alloc = alloc,
    .release = release,
    .upload = upload,
    .download = download,
    .copy = copy,
    .zero = zero,
    .host_alloc = host_alloc,
    .host_release = host_release,
    .lane_open = lane_open,
    .lane_send = lane_send,
    .lane_join = lane_join,
    .lane_wait = lane_wait,
    .matmul_nt = matmul_nt,
    .matmul_nn = matmul_nn,
    .matmul_tn = matmul_tn,
    .linear_forward = linear_forward,
    .linear_backward = linear_backward,
    .rmsnorm_forward = rmsnorm_forward,
    .rmsnorm_backward = rmsnorm_backward,
    .head_norm_forward = head_norm_forward,
    .head_norm_backward = head_norm_backward,
    .rope_forward = rope_forward,
    .rope_backward = rope_backward,
    .attention_forward = attention_forward,
    .attention_each = attention_each,
    .attention_backward = attention_backward,
    .layernorm_forward = layernorm_forward,
    .rope_pairs_forward = rope_pairs_forward,
    .full_attention_forward = full_attention_forward,
    .patches = patches,
    .depthwise_conv_forward = depthwise_conv_forward,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .geglu_forward = geglu_forward,
    .geglu_backward = geglu_backward,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .gelu_tanh_forward = gelu_tanh_forward,
    .gelu_quick_forward = gelu_quick_forward,
    .rows_set = rows_set,
    .rows_add_scaled = rows_add_scaled,
    .rows_sum = rows_sum,
    .rows_mean = rows_mean,
    .rows_move = rows_move,
    .rows_embed = rows_embed,
    .rows_largest = rows_largest,
    .cross_entropy_forward = cross_entropy_forward,
    .cross_entropy_backward = cross_entropy_backward,
    .vector_add = vector_add,
    .vector_scale = vector_scale,
    .vector_square_sum = vector_square_sum,
    .adam_step = adam_step,
    .link_name = nullptr,
    .link_open = nullptr,
    .link_close = nullptr,
    .link_pass = nullptr,
};

/* The table, with what this build and the precision say. */
static const mdl_backend_t *complete(bool bfloat16)
{
    static mdl_backend_t made[2];
    mdl_backend_t &table = made[bfloat16];
    const links &link = available_links();
    table = cuda;
    table.link_name = link.name;
    table.link_open = link.open;
    table.link_close = link.close;
    table.link_pass = link.pass;
    if (!bfloat16)
        return &table;
    table.bfloat16 = 1;
    table.matmul_nt = matmul_nt_tf32;
    table.matmul_nn = matmul_nn_tf32;
    table.matmul_tn = matmul_tn_tf32;
    table.linear_forward = linear_forward_bfloat16;
    table.linear_backward = linear_backward_bfloat16;
    table.attention_forward = attention_forward_bfloat16;
    table.attention_backward = attention_backward_bfloat16;
    table.rows_embed = rows_embed_bfloat16;
    return &table;
}

} // namespace mdl::engine

extern "C" int mdl_backend_cuda(int device, int bfloat16, const mdl_backend_t **backend,
                                mdl_error_t *err)
{
    *backend = mdl::engine::complete(bfloat16 != 0);
    return mdl::engine::open_device(device, err);
}
