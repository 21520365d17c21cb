// Forward, for rows too long for registers: a_i alternates between two scratch rows of the block, and y is summed up in place.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
tree_forward_long(const REAL* __restrict__ x, REAL* y, const REAL* __restrict__ h0, const REAL* __restrict__ h1,
                  const REAL* __restrict__ w, const REAL* __restrict__ w_skip, const int* __restrict__ plan, REAL* scratch,
                  int rows, int D, int L) {
    const Plan p = read_plan(plan);
    REAL* h = (REAL*)shared_memory;
    REAL* q = h + p.J * p.K;
    REAL* other = scratch + (long long)blockIdx.x * 2 * L;
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        load_coefficients(p, row % D, D, h0, h1, w, w_skip, h, q);
        __syncthreads();
        const REAL* a = x + (long long)row * L;
        REAL* out = y + (long long)row * L;
        REAL* next = other;
        for (int i = 0; i < p.J; ++i) {
            const REAL *hi = h + i * p.K, *qi = q + p.start[i];
            const int Q = p.start[i + 1] - p.start[i];
            for (int n = threadIdx.x; n < L; n += THREADS) {
                REAL low = 0, sum = i ? out[n] : REAL(0);
                long long s = 0;
                for (int k = 0; (k < p.K || k < Q) && s <= n; ++k, s += dilation(i)) {
                    const REAL v = a[n - s];
                    if (k < p.K) low += hi[k] * v;
                    if (k < Q) sum += qi[k] * v;
                }
                next[n] = low;
                out[n] = sum;
            }
            __syncthreads();
            a = next;
            next = i % 2 ? other : other + L;
        }
        for (int n = threadIdx.x; n < L; n += THREADS) out[n] += q[p.Q] * a[n];
        __syncthreads();  // before the next row's coefficients
    }
}
