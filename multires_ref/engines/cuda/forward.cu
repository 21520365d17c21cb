// Forward, for rows that fit in registers. ITEMS: samples that a thread holds. TAPS: bound on K and on every Q_i.
//
// The levels from dilation C THREADS on (i counts them): there, sample n - k C THREADS is the thread's own sample r - k C.
// This is a recursion over C, because registers cannot be indexed: the compiler must know every r and C.
template <int C>
__device__ __forceinline__ void register_levels(const Plan& p, const REAL* h, const REAL* q, REAL (&own)[ITEMS],
                                                REAL (&out)[ITEMS], int& i) {
    if constexpr (C < ITEMS) {
        if (i >= p.J) return;
        const REAL *hi = h + i * p.K, *qi = q + p.start[i];
        const int Q = p.start[i + 1] - p.start[i];
        REAL low[ITEMS];
#pragma unroll
        for (int r = 0; r < ITEMS; ++r) {
            low[r] = hi[0] * own[r];
            if (Q > 0) out[r] += qi[0] * own[r];
        }
#pragma unroll
        for (int k = 1; k < TAPS; ++k) {
            if (k < p.K) {
                const REAL tap = hi[k];
#pragma unroll
                for (int r = k * C; r < ITEMS; ++r) low[r] += tap * own[r - k * C];
            }
            if (k < Q) {
                const REAL tap = qi[k];
#pragma unroll
                for (int r = k * C; r < ITEMS; ++r) out[r] += tap * own[r - k * C];
            }
        }
#pragma unroll
        for (int r = 0; r < ITEMS; ++r) own[r] = low[r];
        ++i;
        register_levels<2 * C>(p, h, q, own, out, i);
    }
}

// A thread holds its samples of a_i (own) and of y (out) in registers. While the dilation is below THREADS, the past samples
// come from other threads through shared memory (two copies, written in turn: one barrier for each level). From THREADS on, they
// belong to the thread itself: sample n - c THREADS is own[r - c]. So x is read once and y written once.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
tree_forward(const REAL* __restrict__ x, REAL* __restrict__ y, const REAL* __restrict__ h0, const REAL* __restrict__ h1,
             const REAL* __restrict__ w, const REAL* __restrict__ w_skip, const int* __restrict__ plan, int D, int L) {
    const Plan p = read_plan(plan);
    REAL* h = (REAL*)shared_memory;
    REAL* q = h + p.J * p.K;
    REAL* a = q + p.Q + 1;  // [THREADS ITEMS]: a little longer than the row, so that no reading beyond L needs a test
    REAL* other = a + THREADS * ITEMS;
    const long long row = (long long)blockIdx.x * L;
    load_coefficients(p, blockIdx.x % D, D, h0, h1, w, w_skip, h, q);

    REAL own[ITEMS], out[ITEMS], low[ITEMS];
#pragma unroll
    for (int r = 0; r < ITEMS; ++r) {
        const int n = threadIdx.x + r * THREADS;
        own[r] = n < L ? x[row + n] : REAL(0);
        out[r] = 0;
        a[n] = own[r];
    }
    __syncthreads();

    int i = 0;
    for (; i < p.J && (TAPS > 8 || dilation(i) < THREADS); ++i) {
        const REAL *hi = h + i * p.K, *qi = q + p.start[i];
        const int Q = p.start[i + 1] - p.start[i];
#pragma unroll
        for (int r = 0; r < ITEMS; ++r) {
            low[r] = hi[0] * own[r];
            if (Q > 0) out[r] += qi[0] * own[r];
        }
        for (int k = 1; k < p.K || k < Q; ++k) {
            const long long s = (long long)k * dilation(i);
            if (s >= L) break;
            const REAL hk = k < p.K ? hi[k] : REAL(0), qk = k < Q ? qi[k] : REAL(0);
            const REAL* from = a + ((int)threadIdx.x - (int)s);
#pragma unroll
            for (int r = 0; r < ITEMS; ++r) {
                if ((int)threadIdx.x + r * THREADS < (int)s) continue;
                const REAL v = from[r * THREADS];
                if (k < p.K) low[r] += hk * v;
                if (k < Q) out[r] += qk * v;
            }
        }
#pragma unroll
        for (int r = 0; r < ITEMS; ++r) {
            own[r] = low[r];
            other[threadIdx.x + r * THREADS] = low[r];
        }
        __syncthreads();
        REAL* last = a;
        a = other;
        other = last;
    }

    if constexpr (TAPS <= 8) register_levels<1>(p, h, q, own, out, i);
    for (; i < p.J; ++i) {  // the dilation is beyond the row: of each filter, only the tap of the newest sample counts
        const REAL newest = p.start[i + 1] > p.start[i] ? q[p.start[i]] : REAL(0);
#pragma unroll
        for (int r = 0; r < ITEMS; ++r) {
            out[r] += newest * own[r];
            own[r] *= h[i * p.K];
        }
    }

#pragma unroll
    for (int r = 0; r < ITEMS; ++r) {
        const int n = threadIdx.x + r * THREADS;
        if (n < L) y[row + n] = out[r] + q[p.Q] * own[r];
    }
}
