#include "cuda_runtime.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

struct host_event {
    long asked = 0, done = 0; /* how often it was recorded, and was reached */
};

/* Work that waits, and how often an event must have been reached before it may run. */
struct host_work {
    std::function<void()> run;
    cudaEvent_t event;
    long due;
};

struct host_stream {
    std::deque<host_work> work;
};

namespace
{

[[noreturn]] void fail(const char *what)
{
    fprintf(stderr, "CUDA on the host: %s\n", what);
    abort();
}

/* ---- memory ---- */

constexpr size_t ARENA = (size_t)4 << 30, GUARD = 256, FILLED = (size_t)16 << 20;
constexpr unsigned char FRESH = 0xff, END = 0xa5;

char *arena;
size_t arena_used;
std::map<char *, size_t> blocks;
std::map<const char *, size_t> pinned; /* begins and sizes */

bool is_pinned(const void *memory, size_t n_byte)
{
    auto next = pinned.upper_bound((const char *)memory);
    if (next == pinned.begin())
        return false;
    auto block = std::prev(next);
    return (const char *)memory + n_byte <= block->first + block->second;
}

size_t device_memory()
{
    const char *text = getenv("HOST_CUDA_MEMORY");
    size_t bytes = text != nullptr ? strtoull(text, nullptr, 10) : ARENA;
    return bytes < ARENA ? bytes : ARENA;
}

size_t allocated()
{
    size_t sum = 0;
    for (const auto &block : blocks)
        sum += block.second;
    return sum;
}

/* Lets what runs on the device, and it alone, at the memory. */
struct on_device {
    static inline int depth = 0;
    on_device()
    {
        if (depth++ == 0 && arena_used > 0)
            mprotect(arena, arena_used, PROT_READ | PROT_WRITE);
    }
    ~on_device()
    {
        if (--depth == 0 && arena_used > 0)
            mprotect(arena, arena_used, PROT_NONE);
    }
};

/* ---- streams ---- */

std::vector<cudaStream_t> streams;
unsigned long long drawn = 88172645463325252ull;

unsigned draw(unsigned n)
{
    drawn ^= drawn << 13;
    drawn ^= drawn >> 7;
    drawn ^= drawn << 17;
    return (unsigned)(drawn % n);
}

bool may_run(const host_stream *stream)
{
    if (stream->work.empty())
        return false;
    const host_work &first = stream->work.front();
    return first.event == nullptr || first.event->done >= first.due;
}

/* Runs the next of one of the streams. */
void run_one()
{
    std::vector<cudaStream_t> ready;
    for (cudaStream_t stream : streams)
        if (may_run(stream))
            ready.push_back(stream);
    if (ready.empty())
        fail("all streams wait for each other");
    cudaStream_t stream = ready[draw((unsigned)ready.size())];
    host_work work = stream->work.front();
    stream->work.pop_front();
    if (work.run) {
        on_device guard;
        work.run();
    }
}

/* ---- threads of a block ---- */

constexpr size_t STACK = 64 << 10;

enum fiber_state { RUNS, AT_WARP, AT_BLOCK, ENDED }; /* where it waits for its like */

struct fiber {
    std::unique_ptr<char[]> stack;
    ucontext_t start;
    jmp_buf at;
    bool begun = false;
    fiber_state state;
    uint64_t given[2]; /* to other lanes, in turn: one may be read while the next is given */
    int turn = 0;
};

std::vector<fiber> fibers;
jmp_buf scheduler;
fiber *running;
const std::function<void()> *body;

/* One thread after the other of all blocks. */
void run_bodies()
{
    for (;;) {
        (*body)();
        running->state = ENDED;
        if (_setjmp(running->at) == 0)
            _longjmp(scheduler, 1);
    }
}

/* On with a thread until it waits or ends. */
void go_on(fiber &f, unsigned thread)
{
    threadIdx = dim3(thread);
    running = &f;
    if (_setjmp(scheduler) != 0)
        return;
    if (f.begun)
        _longjmp(f.at, 1);
    f.begun = true;
    setcontext(&f.start);
}

void prepare(fiber &f)
{
    f.state = RUNS;
    f.turn = 0;
    if (f.stack != nullptr)
        return;
    f.stack.reset(new char[STACK]);
    getcontext(&f.start);
    f.start.uc_stack.ss_sp = f.stack.get();
    f.start.uc_stack.ss_size = STACK;
    f.start.uc_link = nullptr;
    makecontext(&f.start, run_bodies, 0);
}

/* How many of the threads [first, end) are in a state. */
unsigned count(unsigned first, unsigned end, fiber_state state)
{
    unsigned n = 0;
    for (unsigned t = first; t < end; t++)
        n += fibers[t].state == state;
    return n;
}

/* On with the threads of a warp until all wait for the block or ended. */
void run_warp(unsigned first, unsigned end)
{
    do {
        for (unsigned t = first; t < end; t++)
            if (fibers[t].state == RUNS || fibers[t].state == AT_WARP)
                go_on(fibers[t], t);
        unsigned n_wait = count(first, end, AT_WARP);
        if (n_wait > 0 && n_wait < end - first)
            fail("some threads of a warp wait for others that don't");
    } while (fibers[first].state == AT_WARP);
}

void run_block(unsigned n_thread)
{
    constexpr unsigned WARP = 32;
    fibers.resize(n_thread > fibers.size() ? n_thread : fibers.size());
    for (unsigned t = 0; t < n_thread; t++)
        prepare(fibers[t]);
    unsigned n_ended = 0;
    while (n_ended < n_thread) {
        for (unsigned first = 0; first < n_thread; first += WARP)
            run_warp(first, first + WARP < n_thread ? first + WARP : n_thread);
        n_ended = count(0, n_thread, ENDED);
        if (n_ended > 0 && n_ended < n_thread)
            fail("some threads of a block ended and others wait for them");
        for (unsigned t = 0; n_ended == 0 && t < n_thread; t++)
            fibers[t].state = RUNS;
    }
}

/* Back to the scheduler until it goes on with this thread. */
void wait(fiber_state state)
{
    fiber *self = running;
    self->state = state;
    if (_setjmp(self->at) == 0)
        _longjmp(scheduler, 1);
    self->state = RUNS;
}

} // namespace

dim3 threadIdx, blockIdx, gridDim, blockDim;

void __syncthreads()
{
    wait(AT_BLOCK);
}

void __syncwarp()
{
    wait(AT_WARP);
}

uint64_t host_cuda_swap(uint64_t bits, unsigned other)
{
    if (other >= blockDim.x || other / 32 != threadIdx.x / 32)
        fail("a thread asks for the number of a lane that isn't there");
    int turn = running->turn = 1 - running->turn;
    running->given[turn] = bits;
    wait(AT_WARP);
    return fibers[other].given[turn];
}

bool host_cuda_pageable;

void host_cuda_ask(cudaStream_t stream, std::function<void()> work)
{
    stream->work.push_back({work, nullptr, 0});
    if (draw(4) == 0)
        run_one();
}

cudaError_t host_cuda_launch(const cudaLaunchConfig_t *config, std::function<void()> thread)
{
    dim3 grid = config->gridDim, block = config->blockDim;
    if (grid.x < 1 || grid.x > 0x7fffffff || grid.y < 1 || grid.y > 65535 || block.x < 1 ||
        block.x > 1024 || config->dynamicSmemBytes > HOST_CUDA_SHARED)
        return cudaErrorInvalidConfiguration;
    host_cuda_ask(config->stream, [=] {
        body = &thread;
        gridDim = grid;
        blockDim = block;
        for (unsigned b = 0; b < grid.x * grid.y; b++) {
            blockIdx = dim3(b % grid.x, b / grid.x);
            run_block(block.x);
        }
    });
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr, int)
{
    *value = HOST_CUDA_SHARED;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    *properties = cudaDeviceProp{};
    snprintf(properties->name, sizeof properties->name, "CUDA on the host");
    properties->totalGlobalMem = device_memory();
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
    for (cudaStream_t stream : streams)
        cudaStreamSynchronize(stream);
    return cudaSuccess;
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaErrorMemoryAllocation ? "out of memory" : "an error";
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    *all = device_memory();
    *left = *all - allocated();
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **block, size_t n_byte)
{
    constexpr size_t PAGE = 4096;
    if (n_byte + allocated() > device_memory())
        return cudaErrorMemoryAllocation;
    if (arena == nullptr)
        arena = (char *)mmap(nullptr, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                             -1, 0);
    if (arena == MAP_FAILED)
        fail("no address space");
    char *start = arena + arena_used;
    size_t whole = (n_byte + GUARD + PAGE - 1) / PAGE * PAGE;
    if (arena_used + whole > ARENA)
        fail("too much memory was asked for");
    arena_used += whole;
    blocks[start] = n_byte;
    on_device guard;
    memset(start, FRESH, n_byte < FILLED ? n_byte : FILLED);
    memset(start + n_byte, END, GUARD);
    *block = start;
    return cudaSuccess;
}

cudaError_t cudaFree(void *block)
{
    if (block == nullptr)
        return cudaSuccess;
    auto found = blocks.find((char *)block);
    if (found == blocks.end())
        fail("what is freed was not allocated");
    {
        on_device guard;
        for (size_t k = 0; k < GUARD; k++)
            if ((unsigned char)found->first[found->second + k] != END)
                fail("a write beyond the end of a block");
        madvise(found->first, found->second, MADV_DONTNEED);
    }
    blocks.erase(found);
    if (blocks.empty()) {
        munmap(arena, ARENA);
        arena = nullptr;
        arena_used = 0;
    }
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **block, size_t n_byte)
{
    *block = malloc(n_byte);
    pinned[(const char *)*block] = n_byte;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *block)
{
    if (block != nullptr && pinned.erase((const char *)block) == 0)
        fail("pinned memory that is freed was not allocated");
    free(block);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n_byte, cudaMemcpyKind)
{
    on_device guard;
    memcpy(to, from, n_byte);
    return cudaSuccess;
}

/* From or to other memory than pinned CUDA may wait. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n_byte, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const void *host = kind == cudaMemcpyHostToDevice ? from : to;
    if (kind != cudaMemcpyDeviceToDevice && !is_pinned(host, n_byte)) {
        if (!host_cuda_pageable)
            fail("an asynchronous copy that isn't from or to pinned memory");
        if (kind == cudaMemcpyDeviceToHost) {
            cudaStreamSynchronize(stream);
            return cudaMemcpy(to, from, n_byte, kind);
        }
        auto bytes =
            std::make_shared<std::vector<char>>((const char *)from, (const char *)from + n_byte);
        host_cuda_ask(stream, [=] { memcpy(to, bytes->data(), bytes->size()); });
        return cudaSuccess;
    }
    host_cuda_ask(stream, [=] { memcpy(to, from, n_byte); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t n_byte, cudaStream_t stream)
{
    host_cuda_ask(stream, [=] { memset(to, value, n_byte); });
    return cudaSuccess;
}

cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream)
{
    host_cuda_ask(stream, [=] {
        for (size_t k = 0; k < height; k++)
            memset((char *)to + k * pitch, value, width);
    });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new host_stream;
    streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    cudaStreamSynchronize(stream);
    for (size_t k = 0; k < streams.size(); k++)
        if (streams[k] == stream)
            streams.erase(streams.begin() + (long)k);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    on_device guard;
    while (!stream->work.empty())
        run_one();
    return cudaSuccess;
}

/* For what the event was last recorded after, when this was asked for. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    stream->work.push_back({nullptr, event, event->asked});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new host_event;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    cudaEventSynchronize(event);
    cudaDeviceSynchronize();
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    long number = ++event->asked;
    stream->work.push_back({[=] { event->done = number; }, nullptr, 0});
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    on_device guard;
    while (event->done < event->asked)
        run_one();
    return cudaSuccess;
}
