// Runs CUDA kernels on a CPU, unchanged: every thread of a block is a coroutine that runs until it meets a barrier.
//
// A missing __syncthreads() then shows: the threads run one after the other in an order the caller picks (up, down or shuffled),
// so a thread that reads what another has not written yet gets a different result in one of the orders. Shared memory starts as
// NaN, ends in a guard that must not change, and a barrier that not all threads reach is reported. One block runs at a time.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(...)

struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;

const size_t SHARED_LIMIT = 232448, GUARD = 256;  // what a block may ask for on Hopper, in bytes
alignas(64) unsigned char shared_memory[SHARED_LIMIT + GUARD];

namespace emulator {

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };
struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    State state;
    double exchange;
};

static std::vector<Thread> threads;
static ucontext_t scheduler;
static unsigned current;

static void set_index(unsigned t) {
    current = t;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

static void wait(State state) {
    Thread& self = threads[current];
    self.state = state;
    swapcontext(&self.context, &scheduler);
}

static bool all_in(State state, unsigned from, unsigned to) {
    bool some = false;
    for (unsigned t = from; t < to; ++t) {
        if (threads[t].state == DONE) continue;
        if (threads[t].state != state) return false;
        some = true;
    }
    return some;
}

static bool release(State state, unsigned from, unsigned to) {
    if (!all_in(state, from, to)) return false;
    for (unsigned t = from; t < to; ++t) {
        if (threads[t].state == DONE && state == AT_BLOCK_BARRIER) return false;  // a thread left before this barrier
        if (threads[t].state == state) threads[t].state = READY;
    }
    return true;
}

static unsigned pick(unsigned n, unsigned count, int order, uint64_t& random) {
    if (order == 0) return n;
    if (order == 1) return count - 1 - n;
    return (unsigned)((n * 48271ull + random) % count);  // 48271 is prime and above every block size: a permutation
}

// Runs all threads of one block to their end. False where they can get no further.
static bool run_block(void (*body)(), int order) {
    unsigned count = blockDim.x * blockDim.y * blockDim.z, left = count;
    threads.resize(count > threads.size() ? count : threads.size());
    for (unsigned t = 0; t < count; ++t) {
        Thread& thread = threads[t];
        thread.stack.resize(1 << 16);
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        thread.context.uc_link = &scheduler;
        thread.state = READY;
        makecontext(&thread.context, body, 0);
    }
    uint64_t random = 12345;
    while (left) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        bool moved = false;
        for (unsigned n = 0; n < count; ++n) {
            unsigned t = pick(n, count, order, random);
            if (threads[t].state != READY) continue;
            set_index(t);
            threads[t].state = DONE;  // unless it waits again
            swapcontext(&scheduler, &threads[t].context);
            left -= threads[t].state == DONE;
            moved = true;
        }
        for (unsigned w = 0; w < count; w += 32) moved |= release(AT_WARP_BARRIER, w, w + 32 < count ? w + 32 : count);
        moved |= release(AT_BLOCK_BARRIER, 0, count);
        if (!moved) return false;
    }
    return true;
}

template <class T> T exchange(T value, unsigned from) {  // from: a lane of this warp
    unsigned warp = current / 32 * 32, lane_count = blockDim.x * blockDim.y * blockDim.z;
    std::memcpy(&threads[current].exchange, &value, sizeof(T));
    wait(AT_WARP_BARRIER);
    if (from < 32 && warp + from < lane_count) std::memcpy(&value, &threads[warp + from].exchange, sizeof(T));
    wait(AT_WARP_BARRIER);
    return value;
}

template <class... A, size_t... I> void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    kernel(*(A*)args[I]...);
}

static void** arguments;
enum Status { OK = 0, STUCK = 1, SHARED_TOO_LARGE = 2, SHARED_OVERRUN = 3, WRONG_ARGUMENTS = 4 };

template <class... A> bool fits(void (*)(A...), const int* sizes, int count) {
    const int wanted[] = {(int)sizeof(A)...};
    return count == (int)sizeof...(A) && !std::memcmp(sizes, wanted, sizeof(wanted));
}

static int run_grid(void (*body)(), const unsigned* grid, const unsigned* block, size_t shared, int order) {
    if (shared > SHARED_LIMIT) return SHARED_TOO_LARGE;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (unsigned z = 0; z < grid[2]; ++z)
        for (unsigned y = 0; y < grid[1]; ++y)
            for (unsigned x = 0; x < grid[0]; ++x) {
                blockIdx = {x, y, z};
                std::memset(shared_memory, 0xFF, shared + GUARD);  // all bits set: a NaN in float and in double
                if (!run_block(body, order)) return STUCK;
                for (size_t n = shared; n < shared + GUARD; ++n)
                    if (shared_memory[n] != 0xFF) return SHARED_OVERRUN;
            }
    return OK;
}

}  // namespace emulator

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK_BARRIER); }
static inline void __syncwarp() { emulator::wait(emulator::AT_WARP_BARRIER); }
static unsigned lane() { return emulator::current % 32; }
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) { return emulator::exchange(value, lane() ^ mask); }
template <class T> T __shfl_down_sync(unsigned, T value, int delta) { return emulator::exchange(value, lane() + delta); }
template <class T> T __shfl_up_sync(unsigned, T value, int delta) { return emulator::exchange(value, lane() - delta); }
template <class T> T __shfl_sync(unsigned, T value, int from) { return emulator::exchange(value, (unsigned)from % 32); }
using std::erf;
using std::exp;
using std::sqrt;
using std::tanh;
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }

// Makes kernel NAME callable from outside: run_NAME(grid, block, shared bytes, order, arguments, their sizes, their count).
#define LAUNCHABLE(NAME)                                                                                                    \
    static void body_##NAME() {                                                                                             \
        []<class... A>(void (*kernel)(A...)) {                                                                              \
            emulator::call(kernel, emulator::arguments, std::index_sequence_for<A...>());                                   \
        }(NAME);                                                                                                            \
    }                                                                                                                       \
    extern "C" int run_##NAME(const unsigned* grid, const unsigned* block, size_t shared, int order, void** arguments,      \
                              const int* sizes, int count) {                                                                \
        if (!emulator::fits(NAME, sizes, count)) return emulator::WRONG_ARGUMENTS;                                          \
        emulator::arguments = arguments;                                                                                    \
        return emulator::run_grid(body_##NAME, grid, block, shared, order);                                                 \
    }
