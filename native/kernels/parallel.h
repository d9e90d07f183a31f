// Loops over the thread pool. How work is cut depends on its size alone, never on the number of threads, so that
// partial sums come out the same on any machine.
#pragma once

#include "table.h"

namespace selkie::SELKIE_ISA {

// Calls body(task, thread) for every task.
template <typename Body>
inline void parallelFor(ThreadPool& pool, int64_t numTasks, const Body& body) {
  if (numTasks == 1) return body(int64_t{0}, 0);
  pool.run(
      numTasks, [](const void* context, int64_t task, int thread) { (*static_cast<const Body*>(context))(task, thread); },
      &body);
}

// Calls body(begin, end, thread) for consecutive ranges of `grain` items (the last may be shorter).
template <typename Body>
inline void parallelRanges(ThreadPool& pool, int64_t length, int64_t grain, const Body& body) {
  if (grain < 1) grain = 1;
  parallelFor(pool, (length + grain - 1) / grain, [&](int64_t task, int thread) {
    const int64_t begin = task * grain;
    const int64_t end = begin + grain < length ? begin + grain : length;
    body(begin, end, thread);
  });
}

}  // namespace selkie::SELKIE_ISA
