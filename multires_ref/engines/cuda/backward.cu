// Backward: the levels are computed again and then walked from coarse to fine. CHUNK: correlations summed up at a time, a power
// of two up to 32. SCRATCH: 1 where a row's levels are in global memory, 0 where they fit in shared memory.
//
// Every row writes its own sums over time, and backward_finish adds them up over the batch in a fixed order: no atomics, so the
// same arguments give the same bits. The sums of level i begin at start[i] + i K: first those of q_i, then those of h_i. The sum
// of w_a comes last.

const int WARPS = THREADS / 32;

// sums[c WARPS + warp] = the sum of acc[c] over the warp, for c < count. Each step halves what a lane still has to add up: it
// keeps one half of its sums and gives the other away. CHUNK sums then cost about CHUNK + 5 exchanges, and not 5 CHUNK.
__device__ void sum_over_warp(REAL* acc, REAL* sums, int count) {
    const int lane = threadIdx.x % 32;
    int index = 0, bit = 1;
#pragma unroll
    for (int half = CHUNK / 2; half >= 1; half /= 2) {
        const bool upper = (lane & bit) != 0;
#pragma unroll
        for (int c = 0; c < half; ++c) {
            const REAL give = upper ? acc[c] : acc[c + half], keep = upper ? acc[c + half] : acc[c];
            acc[c] = keep + __shfl_xor_sync(0xffffffffu, give, bit);
        }
        index += upper ? half : 0;
        bit *= 2;
    }
    for (; bit < 32; bit *= 2) acc[0] += __shfl_xor_sync(0xffffffffu, acc[0], bit);
    if (lane < CHUNK && index < count) sums[index * WARPS + threadIdx.x / 32] = acc[0];
}

// One level: from below = a_{i-1}, da = the gradient of a_i, and g, with s the dilation,
//     dq[j] = sum_n a_{i-1}[n] g[n + j s]      dh[k] = sum_n a_{i-1}[n] da[n + k s]
//     da_{i-1}[n] = sum_j q[j] g[n + j s] + sum_k h[k] da[n + k s]
// The last replaces below, in place: here a thread reads that array at its own samples only.
__device__ void level_backward(REAL* below, const REAL* da, const REAL* g, const REAL* q, int Q, const REAL* h, int K, int s,
                               int L, REAL* sums) {
    const bool at_once = Q + K <= CHUNK;
    for (int first = 0; first < Q + K; first += CHUNK) {
        REAL acc[CHUNK], weight[CHUNK];
        const REAL* from[CHUNK];
        int limit[CHUNK];  // the tap reaches inside the row for n < limit
#pragma unroll
        for (int c = 0; c < CHUNK; ++c) {
            const int tap = first + c, k = tap < Q ? tap : tap - Q;
            const long long shift = tap < Q + K ? (long long)k * s : L;
            limit[c] = shift < L ? L - (int)shift : 0;
            from[c] = (tap < Q ? g : da) + (shift < L ? (int)shift : 0);
            weight[c] = shift < L ? (tap < Q ? q : h)[k] : REAL(0);
            acc[c] = 0;
        }
        for (int n = threadIdx.x; n < L; n += THREADS) {
            const REAL a = below[n];
            REAL down = 0;
#pragma unroll
            for (int c = 0; c < CHUNK; ++c) {
                if (n >= limit[c]) continue;
                const REAL v = from[c][n];
                acc[c] += a * v;
                down += weight[c] * v;
            }
            if (at_once) below[n] = down;
        }
        sum_over_warp(acc, sums + first * WARPS, Q + K - first);
    }
    if (at_once) return;
    for (int n = threadIdx.x; n < L; n += THREADS) {
        REAL down = 0;
        long long at = n;
        for (int j = 0; j < Q && at < L; ++j, at += s) down += q[j] * g[at];
        at = n;
        for (int k = 0; k < K && at < L; ++k, at += s) down += h[k] * da[at];
        below[n] = down;
    }
}

// above = h * below, the low-pass filter of one level.
__device__ void low_pass(const REAL* below, REAL* above, const REAL* h, int K, int s, int L) {
    for (int n = threadIdx.x; n < L; n += THREADS) {
        REAL sum = 0;
        long long at = n;
        for (int k = 0; k < K && at >= 0; ++k, at -= s) sum += h[k] * below[at];
        above[n] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
tree_backward(const REAL* __restrict__ g, const REAL* __restrict__ x, REAL* __restrict__ dx, const REAL* __restrict__ h0,
              const REAL* __restrict__ h1, const REAL* __restrict__ w, const REAL* __restrict__ w_skip,
              const int* __restrict__ plan, REAL* __restrict__ partial, REAL* scratch, int rows, int D, int L) {
    const Plan p = read_plan(plan);
    const int P = p.Q + p.J * p.K + 1;
    REAL* h = (REAL*)shared_memory;
    REAL* q = h + p.J * p.K;
    // a_0 ... a_J (then the gradients in their place), g, and the sums of each warp
    REAL* levels = SCRATCH ? scratch + blockIdx.x * ((p.J + 2ll) * L + (long long)P * WARPS) : q + p.Q + 1;
    REAL* g_row = levels + (p.J + 1ll) * L;
    REAL* sums = g_row + L;

    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        load_coefficients(p, row % D, D, h0, h1, w, w_skip, h, q);
        for (int n = threadIdx.x; n < L; n += THREADS) {
            levels[n] = x[(long long)row * L + n];
            g_row[n] = g[(long long)row * L + n];
        }
        __syncthreads();
        for (int i = 0; i < p.J; ++i) {
            low_pass(levels + (long long)i * L, levels + (i + 1ll) * L, h + i * p.K, p.K, dilation(i), L);
            __syncthreads();
        }
        REAL* top = levels + (long long)p.J * L;
        REAL acc[CHUNK] = {};
        for (int n = threadIdx.x; n < L; n += THREADS) {
            acc[0] += g_row[n] * top[n];
            top[n] = q[p.Q] * g_row[n];
        }
        sum_over_warp(acc, sums + (P - 1ll) * WARPS, 1);
        __syncthreads();
        for (int i = p.J - 1; i >= 0; --i) {
            level_backward(levels + (long long)i * L, levels + (i + 1ll) * L, g_row, q + p.start[i], p.start[i + 1] - p.start[i],
                           h + i * p.K, p.K, dilation(i), L, sums + (p.start[i] + (long long)i * p.K) * WARPS);
            __syncthreads();
        }
        for (int n = threadIdx.x; n < L; n += THREADS) dx[(long long)row * L + n] = levels[n];
        for (int n = threadIdx.x; n < P; n += THREADS) {
            REAL sum = 0;
            for (int warp = 0; warp < WARPS; ++warp) sum += sums[n * (long long)WARPS + warp];
            partial[(long long)row * P + n] = sum;
        }
        __syncthreads();  // before the next row's coefficients
    }
}

// Adds the rows' sums up over the batch, and takes them back to the layer's own parameters: the adjoint of load_coefficients.
//     dw_i[t] = sum_k h1_i[k] dq_i[2 t + k]     dh1_i[k] = sum_t w_i[t] dq_i[2 t + k]     dw_skip = dq_1[0]
// One block for each channel.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
backward_finish(const REAL* __restrict__ partial, const REAL* __restrict__ h1, const REAL* __restrict__ w,
                const int* __restrict__ plan, REAL* __restrict__ dh0, REAL* __restrict__ dh1, REAL* __restrict__ dw,
                REAL* __restrict__ dw_skip, int B, int D) {
    const Plan p = read_plan(plan);
    const int P = p.Q + p.J * p.K + 1, d = blockIdx.x;
    REAL* total = (REAL*)shared_memory;
    for (int n = threadIdx.x; n < P; n += THREADS) {
        REAL sum = 0;
        for (int b = 0; b < B; ++b) sum += partial[((long long)b * D + d) * P + n];
        total[n] = sum;
    }
    __syncthreads();

    w += (long long)d * p.m;
    dw += (long long)d * p.m;
    for (int n = threadIdx.x; n < (p.untied ? p.J : 1) * p.K; n += THREADS) {
        const int k = n % p.K, first = n / p.K, last = p.untied ? first : p.J - 1;
        REAL low = 0, high = 0;  // a pair of filters serves the levels first ... last
        for (int i = first; i <= last; ++i) {
            const REAL* dq = total + p.start[i] + i * p.K;
            low += dq[p.start[i + 1] - p.start[i] + k];
            for (int t = 0; t < p.kept[i]; ++t) high += w[p.at[i] + t] * dq[2 * t + k];
        }
        dh0[((long long)first * D + d) * p.K + k] = low;
        dh1[((long long)first * D + d) * p.K + k] = high;
    }
    for (int i = 0; i < p.J; ++i)
        for (int t = threadIdx.x; t < p.kept[i]; t += THREADS) {
            const REAL* high = h1 + ((long long)(p.untied ? i : 0) * D + d) * p.K;
            REAL sum = 0;
            for (int k = 0; k < p.K; ++k) sum += high[k] * total[p.start[i] + i * p.K + 2 * t + k];
            dw[p.at[i] + t] = sum;
        }
    for (int r = p.at[0] + p.kept[0] + threadIdx.x; r < p.m; r += THREADS) dw[r] = 0;  // weights beyond the tree
    if (threadIdx.x == 0) {
        dw[0] = total[P - 1];
        dw_skip[d] = total[0];
    }
}
