// What the tree's kernels share: the plan of a layer, and the coefficients of one channel. This file comes before each of
//
//     forward.cu   forward_long.cu   backward.cu        y = sum_i q_i * a_{i-1} + w_a a_J,   a_i = h0_i * a_{i-1}
//
// In these, one block runs the whole tree of one (batch, channel) row at a time, and sample n belongs to thread n % THREADS.
// engines/gpu.py defines REAL (float or double), THREADS (a power of two, at least 32) and each file's own settings.
// engines/readout.py says what q is; plan.py writes the plan.

extern __shared__ __align__(16) unsigned char shared_memory[];

struct Plan {
    int J, K, m, Q;         // depth, taps, columns of w, length of all readout filters together
    bool untied;            // every level has a pair of filters of its own
    const int *start;       // [J + 1]: q_i of level i = 0 ... J - 1 is q[start[i]] ... q[start[i + 1] - 1]
    const int *kept, *at;   // [J]: details that the memory keeps of a level, and where in w their weights begin
};

__device__ Plan read_plan(const int* p) {
    const int J = p[0];
    return {J, p[1], p[2], p[3], p[4] != 0, p + 5, p + 6 + J, p + 6 + 2 * J};
}

// Dilation of a level; anything beyond 2^29 is beyond every row.
__device__ int dilation(int level) { return level < 29 ? 1 << level : 1 << 29; }

// The coefficients of channel d: h [J K], q [Q] and then w_a. Folding as in readout.py: q_i[2 t + k] += w_i[t] h1_i[k].
__device__ void load_coefficients(const Plan& p, int d, int D, const REAL* h0, const REAL* h1, const REAL* w,
                                  const REAL* w_skip, REAL* h, REAL* q) {
    w += (long long)d * p.m;
    for (int n = threadIdx.x; n < p.J * p.K; n += THREADS) {
        const int level = p.untied ? n / p.K : 0;
        h[n] = h0[((long long)level * D + d) * p.K + n % p.K];
    }
    for (int i = 0; i < p.J; ++i) {
        const REAL* high = h1 + ((long long)(p.untied ? i : 0) * D + d) * p.K;
        for (int j = threadIdx.x; j < p.start[i + 1] - p.start[i]; j += THREADS) {
            REAL sum = i == 0 && j == 0 ? w_skip[d] : REAL(0);
            for (int k = j & 1; k < p.K && k <= j; k += 2)
                if ((j - k) / 2 < p.kept[i]) sum += w[p.at[i] + (j - k) / 2] * high[k];
            q[p.start[i] + j] = sum;
        }
    }
    if (threadIdx.x == 0) q[p.Q] = w[0];
}
