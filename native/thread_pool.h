// Persistent worker threads and the scratch memory that kernels reuse between calls.
// The calling thread takes part in every job. A job is a number of tasks, handed out one at a time; which thread runs a
// task must not change its result. Everything here is compiled once, for the baseline processor (see kernels/simd.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace selkie {

class ThreadPool {
 public:
  // `task` counts from 0; `thread` is below numThreads() and tells scratch of concurrent tasks apart.
  using Task = void (*)(const void* context, int64_t task, int thread);

  explicit ThreadPool(int numThreads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int numThreads() const;

  // Runs tasks 0 .. numTasks - 1 and returns when all are done. Not reentrant.
  void run(int64_t numTasks, Task task, const void* context);

  // Memory of one thread, 64-byte aligned, valid until the same thread asks for the same slot again; contents unspecified.
  void* threadScratch(int thread, int slot, size_t numBytes);
  // Memory shared by all threads of a job; ask before the job starts.
  void* sharedScratch(int slot, size_t numBytes);

  static constexpr int kSlots = 12;

 private:
  struct State;
  State* state_;
};

// Sizes of the data caches of one core, found at run time.
struct CacheSizes {
  size_t l1;
  size_t l2;
};
CacheSizes cacheSizes();

// 64-byte aligned memory; aborts the process when there is none left.
void* alignedAllocate(size_t numBytes);
void alignedFree(void* memory);

}  // namespace selkie
