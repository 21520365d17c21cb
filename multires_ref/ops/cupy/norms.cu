// Norms of s = x + r [B, D, L], in one reading of their arrays from memory (what is read again comes from the caches).
//
// engines/cuda/__init__.py defines REAL. A block has LANES times GROUPS threads, and as many REALs of shared memory.

extern __shared__ __align__(16) unsigned char shared_memory[];

const int LANES = 32, GROUPS = 8;

// The sum over the groups of what the threads of one lane hold; every thread of the lane gets it.
__device__ REAL over_groups(REAL value, REAL* buffer) {
    __syncthreads();  // the buffer may still be read from the last time
    buffer[threadIdx.y * LANES + threadIdx.x] = value;
    __syncthreads();
    REAL sum = 0;
    for (int group = 0; group < GROUPS; ++group) sum += buffer[group * LANES + threadIdx.x];
    return sum;
}

__device__ REAL over_lanes(REAL value) {
    for (int offset = LANES / 2; offset; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    return value;
}

// The sum over all threads; every thread gets it.
__device__ REAL over_block(REAL value, REAL* buffer) {
    value = over_lanes(value);
    __syncthreads();
    if (threadIdx.x == 0) buffer[threadIdx.y] = value;
    __syncthreads();
    REAL sum = 0;
    for (int group = 0; group < GROUPS; ++group) sum += buffer[group];
    return sum;
}

// LayerNorm over channels: a lane takes one time step, the groups share its channels. Blocks: (steps / 32, B).
struct Column {
    long long at;  // of channel 0 at this step
    bool inside;   // the step is before L
    REAL mean, scale;
};

__device__ Column column_statistics(const REAL* x, const REAL* r, REAL* buffer, int D, int L, REAL eps) {
    Column c;
    const int n = blockIdx.x * LANES + threadIdx.x;
    c.inside = n < L;
    c.at = (long long)blockIdx.y * D * L + n;
    REAL sum = 0;
    for (int d = threadIdx.y; c.inside && d < D; d += GROUPS) sum += x[c.at + (long long)d * L] + r[c.at + (long long)d * L];
    c.mean = over_groups(sum, buffer) / REAL(D);
    sum = 0;
    for (int d = threadIdx.y; c.inside && d < D; d += GROUPS) {
        const REAL centred = x[c.at + (long long)d * L] + r[c.at + (long long)d * L] - c.mean;
        sum += centred * centred;
    }
    c.scale = REAL(1) / sqrt(over_groups(sum, buffer) / REAL(D) + eps);
    return c;
}

extern "C" __global__ void __launch_bounds__(256, 4)
layer_norm(const REAL* __restrict__ x, const REAL* __restrict__ r, const REAL* __restrict__ weight,
           const REAL* __restrict__ bias, REAL* __restrict__ out, int D, int L, REAL eps) {
    REAL* buffer = (REAL*)shared_memory;
    const Column c = column_statistics(x, r, buffer, D, L, eps);
    for (int d = threadIdx.y; c.inside && d < D; d += GROUPS) {
        const long long at = c.at + (long long)d * L;
        out[at] = weight[d] * ((x[at] + r[at] - c.mean) * c.scale) + bias[d];
    }
}

// ds = scale (u - mean(u) - hat mean(u hat)), u = g weight, hat = (s - mean) scale; and for each block and channel the sums of
// g hat and g over its 32 steps: partial [B, steps / 32, 2, D].
extern "C" __global__ void __launch_bounds__(256, 4)
layer_norm_adjoint(const REAL* __restrict__ g, const REAL* __restrict__ x, const REAL* __restrict__ r,
                   const REAL* __restrict__ weight, REAL* __restrict__ ds, REAL* __restrict__ partial, int D, int L, REAL eps) {
    REAL* buffer = (REAL*)shared_memory;
    const Column c = column_statistics(x, r, buffer, D, L, eps);
    REAL mean_u = 0, mean_u_hat = 0;
    for (int d = threadIdx.y; c.inside && d < D; d += GROUPS) {
        const long long at = c.at + (long long)d * L;
        const REAL u = g[at] * weight[d];
        mean_u += u;
        mean_u_hat += u * ((x[at] + r[at] - c.mean) * c.scale);
    }
    mean_u = over_groups(mean_u, buffer) / REAL(D);
    mean_u_hat = over_groups(mean_u_hat, buffer) / REAL(D);
    partial += ((long long)blockIdx.y * gridDim.x + blockIdx.x) * 2 * D;
    for (int d = threadIdx.y; d < D; d += GROUPS) {  // every lane takes part in the sums
        const long long at = c.at + (long long)d * L;
        const REAL g_here = c.inside ? g[at] : REAL(0);
        const REAL hat = c.inside ? (x[at] + r[at] - c.mean) * c.scale : REAL(0);
        if (c.inside) ds[at] = c.scale * (g_here * weight[d] - mean_u - hat * mean_u_hat);
        const REAL g_hat_sum = over_lanes(g_here * hat), g_sum = over_lanes(g_here);
        if (threadIdx.x == 0) {
            partial[d] = g_hat_sum;
            partial[D + d] = g_sum;
        }
    }
}

// BatchNorm, one block a (batch, channel) row: mean and sum of squared differences from it, of s in the row, rows [2, B, D].
extern "C" __global__ void __launch_bounds__(256, 4)
row_statistics(const REAL* __restrict__ x, const REAL* __restrict__ r, REAL* __restrict__ rows, int L) {
    REAL* buffer = (REAL*)shared_memory;
    const long long at = (long long)blockIdx.x * L;
    const int thread = threadIdx.y * LANES + threadIdx.x;
    REAL sum = 0;
    for (int n = thread; n < L; n += LANES * GROUPS) sum += x[at + n] + r[at + n];
    const REAL mean = over_block(sum, buffer) / REAL(L);
    sum = 0;
    for (int n = thread; n < L; n += LANES * GROUPS) {
        const REAL centred = x[at + n] + r[at + n] - mean;
        sum += centred * centred;
    }
    sum = over_block(sum, buffer);
    if (thread == 0) {
        rows[blockIdx.x] = mean;
        rows[gridDim.x + blockIdx.x] = sum;
    }
}

// The batch's mean and biased variance from the rows': squared differences add up, plus L times those of the rows' means.
extern "C" __global__ void __launch_bounds__(256, 4)
join_statistics(const REAL* __restrict__ rows, REAL* __restrict__ mean, REAL* __restrict__ var, int B, int D, int L) {
    const int d = blockIdx.x * 256 + threadIdx.x;
    if (d >= D) return;
    REAL sum = 0, squares = 0;
    for (int b = 0; b < B; ++b) sum += rows[b * D + d];
    sum /= REAL(B);
    for (int b = 0; b < B; ++b) {
        const REAL apart = rows[b * D + d] - sum;
        squares += rows[(B + b) * D + d] / REAL(L) + apart * apart;
    }
    mean[d] = sum;
    var[d] = squares / REAL(B);
}

// The sums of g hat and of g over each row: rows [2, B, D]. hat = (s - mean) / sqrt(var + eps).
extern "C" __global__ void __launch_bounds__(256, 4)
row_sums(const REAL* __restrict__ g, const REAL* __restrict__ x, const REAL* __restrict__ r, const REAL* __restrict__ mean,
         const REAL* __restrict__ var, REAL* __restrict__ rows, int D, int L, REAL eps) {
    REAL* buffer = (REAL*)shared_memory;
    const long long at = (long long)blockIdx.x * L;
    const int thread = threadIdx.y * LANES + threadIdx.x, d = blockIdx.x % D;
    const REAL shift = mean[d], scale = REAL(1) / sqrt(var[d] + eps);
    REAL g_hat = 0, sum = 0;
    for (int n = thread; n < L; n += LANES * GROUPS) {
        g_hat += g[at + n] * ((x[at + n] + r[at + n] - shift) * scale);
        sum += g[at + n];
    }
    g_hat = over_block(g_hat, buffer);
    sum = over_block(sum, buffer);
    if (thread == 0) {
        rows[blockIdx.x] = g_hat;
        rows[gridDim.x + blockIdx.x] = sum;
    }
}
