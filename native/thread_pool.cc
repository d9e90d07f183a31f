#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <atomic>

namespace selkie {

namespace {

// A worker that waits for a job pauses this often (about 15 µs), then offers its core to others between looks at the
// gate, and sleeps after kSecondsAwake: longer than the gap between two kernels or two tokens, since waking takes as long
// as a small kernel runs; shorter than anything a person would notice in the processor load.
constexpr int kSpinsBeforeOffer = 2000;
constexpr double kSecondsAwake = 0.002;
// Pauses before the caller yields its core to a worker that was taken off its own.
constexpr int kSpinsBeforeYield = 4000;

// The gate: the lowest 16 bits count the workers inside the job, bit 16 says that the job admits workers, the rest
// numbers the jobs. A worker enters by one compare-and-swap, so the caller never waits for one that comes late.
constexpr uint64_t kInsideMask = 0xffff;
constexpr uint64_t kOpenBit = 1 << 16;
constexpr uint64_t kOneJob = 1 << 17;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

double secondsNow() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Scratch {
  void* memory = nullptr;
  size_t numBytes = 0;

  void* get(size_t wanted) {
    if (wanted > numBytes) {
      alignedFree(memory);
      numBytes = wanted + wanted / 4;
      memory = alignedAllocate(numBytes);
    }
    return memory;
  }
};

struct alignas(64) ThreadScratch {
  Scratch slots[ThreadPool::kSlots];
};

}  // namespace

struct ThreadPool::State {
  struct Worker {
    State* state;
    int thread;
    pthread_t handle;
  };

  int numThreads = 1;
  Worker* workers = nullptr;
  ThreadScratch* scratch = nullptr;
  Scratch shared[kSlots];

  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<int64_t> nextTask{0};
  alignas(64) std::atomic<int> numAsleep{0};
  Task task = nullptr;
  const void* context = nullptr;
  int64_t numTasks = 0;
  bool stopping = false;  // guarded by mutex
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

  void work(int thread) {
    for (;;) {
      const int64_t mine = nextTask.fetch_add(1, std::memory_order_relaxed);
      if (mine >= numTasks) return;
      task(context, mine, thread);
    }
  }

  bool hasNewJob(uint64_t lastJob) const {
    const uint64_t now = gate.load();
    return (now & kOpenBit) != 0 && now / kOneJob != lastJob;
  }

  // Waits for a job other than `lastJob`; false when the pool stops.
  bool waitForJob(uint64_t lastJob) {
    for (int spin = 0; spin < kSpinsBeforeOffer; spin++) {
      if (hasNewJob(lastJob)) return true;
      pause();
    }
    for (const double start = secondsNow(); secondsNow() - start < kSecondsAwake;) {
      if (hasNewJob(lastJob)) return true;
      sched_yield();
    }
    pthread_mutex_lock(&mutex);
    numAsleep.fetch_add(1);
    while (!stopping && !hasNewJob(lastJob)) pthread_cond_wait(&wake, &mutex);
    numAsleep.fetch_sub(1);
    const bool goOn = !stopping;
    pthread_mutex_unlock(&mutex);
    return goOn;
  }

  void serve(int thread) {
    uint64_t lastJob = 0;
    while (waitForJob(lastJob)) {
      uint64_t now = gate.load();
      while ((now & kOpenBit) != 0 && !gate.compare_exchange_weak(now, now + 1)) {
      }
      if ((now & kOpenBit) == 0) continue;  // over before we got in
      lastJob = now / kOneJob;
      work(thread);
      gate.fetch_sub(1);
    }
  }
};

ThreadPool::ThreadPool(int numThreads) : state_(new State) {
  state_->scratch = new ThreadScratch[numThreads];
  state_->workers = new State::Worker[numThreads];
  for (; state_->numThreads < numThreads; state_->numThreads++) {
    State::Worker& worker = state_->workers[state_->numThreads];
    worker.state = state_;
    worker.thread = state_->numThreads;
    const auto start = [](void* self) -> void* {
      auto* worker = static_cast<State::Worker*>(self);
      worker->state->serve(worker->thread);
      return nullptr;
    };
    if (pthread_create(&worker.handle, nullptr, start, &worker) != 0) break;  // fewer workers, same results
  }
}

ThreadPool::~ThreadPool() {
  pthread_mutex_lock(&state_->mutex);
  state_->stopping = true;
  pthread_cond_broadcast(&state_->wake);
  pthread_mutex_unlock(&state_->mutex);
  for (int i = 1; i < state_->numThreads; i++) pthread_join(state_->workers[i].handle, nullptr);
  for (int i = 0; i < state_->numThreads; i++)
    for (Scratch& slot : state_->scratch[i].slots) alignedFree(slot.memory);
  for (Scratch& slot : state_->shared) alignedFree(slot.memory);
  delete[] state_->scratch;
  delete[] state_->workers;
  delete state_;
}

int ThreadPool::numThreads() const { return state_->numThreads; }

void ThreadPool::run(int64_t numTasks, Task task, const void* context) {
  State& state = *state_;
  if (state.numThreads == 1 || numTasks <= 1) {
    for (int64_t i = 0; i < numTasks; i++) task(context, i, 0);
    return;
  }
  state.task = task;
  state.context = context;
  state.numTasks = numTasks;
  state.nextTask.store(0, std::memory_order_relaxed);
  state.gate.store((state.gate.load() / kOneJob + 1) * kOneJob | kOpenBit);
  if (state.numAsleep.load() > 0) {
    pthread_mutex_lock(&state.mutex);
    pthread_cond_broadcast(&state.wake);
    pthread_mutex_unlock(&state.mutex);
  }
  state.work(0);
  state.gate.fetch_and(~kOpenBit);
  for (int spin = 0; (state.gate.load() & kInsideMask) != 0; spin++) {
    if (spin < kSpinsBeforeYield) pause();
    else sched_yield();
  }
}

void* ThreadPool::threadScratch(int thread, int slot, size_t numBytes) {
  return state_->scratch[thread].slots[slot].get(numBytes);
}

void* ThreadPool::sharedScratch(int slot, size_t numBytes) { return state_->shared[slot].get(numBytes); }

CacheSizes cacheSizes() {
  static const CacheSizes sizes = [] {
    CacheSizes found = {32 << 10, 512 << 10};  // what nearly every processor has at least
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (l1 > 0) found.l1 = static_cast<size_t>(l1);
    if (l2 > 0) found.l2 = static_cast<size_t>(l2);
#elif defined(__APPLE__)
    int64_t value = 0;
    size_t length = sizeof value;
    if (sysctlbyname("hw.l1dcachesize", &value, &length, nullptr, 0) == 0 && value > 0) found.l1 = static_cast<size_t>(value);
    length = sizeof value;
    if (sysctlbyname("hw.l2cachesize", &value, &length, nullptr, 0) == 0 && value > 0) found.l2 = static_cast<size_t>(value);
#endif
    return found;
  }();
  return sizes;
}

void* alignedAllocate(size_t numBytes) {
  constexpr size_t kHugePage = 2 << 20;
  const size_t alignment = numBytes >= kHugePage ? kHugePage : 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, numBytes < 64 ? 64 : numBytes) != 0) abort();
#if defined(__linux__)
  if (alignment == kHugePage) madvise(memory, numBytes, MADV_HUGEPAGE);  // fewer misses of the address cache
#endif
  return memory;
}

void alignedFree(void* memory) { free(memory); }

}  // namespace selkie
