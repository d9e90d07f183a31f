// Runs a batch of products in two parallel steps: pack the factors of all products, then compute blocks of all outputs.
// One large product and forty small ones (an adapter each) are the same case.
//
// Blocking, after Goto & van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"):
//   - a whole factor is packed once into shared scratch, panel by panel; multiplyBatch splits what exceeds kMaxPacked
//   - a task computes a block of c of at most blockSize() rows and columns, so that the packed rows and columns it needs
//     stay in the level 2 cache while k advances in steps of kStep units
//   - inside, a panel of b stays in the level 1 cache while the micro-kernel walks over the panels of a
// Sums of a block are kept in f32 scratch between steps of k and written to c once, with scaling, bias and conversion.
// The order of summation depends on k alone, so results do not depend on threads or on how c is cut, nor a row of c on the
// other rows. Products with few rows skip packing of b (direct.h), and then sum in another order; a product whose b is
// packed already (packFactor) never does.
#pragma once

#include "amx.h"
#include "direct.h"
#include "micro-kernel.h"
#include "parallel.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kMaxPackedBytes = 32 << 20;  // per factor
constexpr int64_t kStepUnits = 256;
constexpr int64_t kPackGrainUnits = 16384;  // work of one packing task

// Scratch slots of the thread pool that products use; other kernels may use the rest between products.
enum SharedSlot { kSharedPlan = 0, kSharedPacked = 1, kSharedProducts = 2, kSharedFirstFree = 3 };
enum ThreadSlot { kThreadSums = 0, kThreadFirstFree = 1 };

inline const Engine& plainEngine() {
  static constexpr Engine engine = registerEngine<MultiplyAdd, PlainUnits>();
  return engine;
}

inline const Engine& bf16Engine() {
#if defined(__AMX_BF16__)
  static constexpr Engine engine = tileEngine();
#elif defined(__AVX512BF16__)
  static constexpr Engine engine = registerEngine<DotPairs, PairUnits>();
#else
  static constexpr Engine engine = registerEngine<MultiplyAdd, RoundedUnits>();
#endif
  return engine;
}

// Rows and columns of a block: its sums (f32) and a step of both factors fill most of the level 2 cache, since the
// larger a block the less is fetched per multiplication.
inline int64_t blockSize() {
  const auto budget = static_cast<int64_t>(cacheSizes().l2) * 3 / 4 / 4;
  int64_t size = 128;
  while (size < 512 && (size + 64) * (size + 64 + 2 * kStepUnits) <= budget) size += 64;
  return size;
}

// The number of panels per block that cuts `numPanels` evenly into blocks of at most `most` panels.
inline int64_t evenBlock(int64_t numPanels, int64_t most) {
  most = larger<int64_t>(1, most);
  return numPanels == 0 ? 1 : ceilDivide(numPanels, ceilDivide(numPanels, most));
}

inline bool isDirect(const Product& product, FewRows fewRows) {
  return fewRows == FewRows::direct && product.packedB == nullptr && product.m <= kMaxDirectRows && product.k > 0;
}

// Columns that Output::finish gets at a time; only the last piece of a row may have fewer.
inline int64_t columnsPerPiece(const Product& product, bool useBf16, FewRows fewRows) {
  if (isDirect(product, fewRows)) return kDirectColumns;
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  return product.n <= engine.narrowColumns ? engine.narrowColumns : engine.columns;
}

// How one product is cut; made before the work starts, read by all threads.
struct Plan {
  const Product* product;
  bool isDirect;
  bool isNarrow;
  int height;         // vectors of a panel of a
  int storageHeight;  // the same with padding
  int columns;        // vectors of a panel of b
  int64_t numPanelsA, numPanelsB;
  int64_t numUnits;
  float* packedA;
  float* packedB;
  int64_t panelsPerPackTask;
  int64_t packTasksA, firstPackTask;
  int64_t blockPanelsA, blockPanelsB, blocksAcross;
  int64_t firstBlockTask;
};

// Sizes of one product; fills all but the addresses and the task numbers.
inline Plan planProduct(const Product& product, const Engine& engine, FewRows fewRows) {
  Plan plan = {};
  plan.product = &product;
  plan.isDirect = isDirect(product, fewRows);
  if (plan.isDirect) return plan;
  plan.isNarrow = product.n <= engine.narrowColumns;
  plan.columns = plan.isNarrow ? engine.narrowColumns : engine.columns;
  plan.numPanelsA = ceilDivide(product.m, engine.maxHeight);
  plan.height = static_cast<int>(roundUp(ceilDivide(product.m, plan.numPanelsA), engine.heightStep));
  plan.numPanelsA = ceilDivide(product.m, plan.height);
  plan.storageHeight = static_cast<int>(roundUp(plan.height, engine.storageMultiple));
  plan.numPanelsB = ceilDivide(product.n, plan.columns);
  plan.numUnits = roundUp(ceilDivide(product.k, engine.kPerUnit), engine.unitMultiple);
  plan.panelsPerPackTask = larger<int64_t>(1, kPackGrainUnits / larger<int64_t>(1, plan.numUnits * plan.columns));
  plan.packTasksA = ceilDivide(plan.numPanelsA, plan.panelsPerPackTask);
  plan.blockPanelsA = evenBlock(plan.numPanelsA, blockSize() / plan.height);
  plan.blockPanelsB = evenBlock(plan.numPanelsB, blockSize() / plan.columns);
  return plan;
}

inline int64_t packedUnitsA(const Plan& plan) {
  return plan.isDirect ? roundUp(paddedDirectRows(plan.product->m) * plan.product->k, 16) : plan.numPanelsA * plan.storageHeight * plan.numUnits;
}
inline bool mustPackB(const Plan& plan) { return !plan.isDirect && plan.product->packedB == nullptr; }
inline int64_t packedUnitsB(const Plan& plan) { return mustPackB(plan) ? plan.numPanelsB * plan.columns * plan.numUnits : 0; }
inline int64_t countPackTasks(const Plan& plan) {
  if (plan.isDirect) return 1;
  return plan.packTasksA + (mustPackB(plan) ? ceilDivide(plan.numPanelsB, plan.panelsPerPackTask) : 0);
}

// The plan whose tasks include `task`, given where the tasks of each begin (ascending).
inline const Plan& findPlan(const Plan* plans, int64_t count, int64_t Plan::*first, int64_t task) {
  int64_t low = 0, high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (plans[middle].*first <= task) low = middle;
    else high = middle;
  }
  return plans[low];
}

inline void packPanels(const Operand& source, PackPanel pack, int64_t first, int64_t last, int64_t total, int height, int storageHeight,
                       const Plan& plan, float* target) {
  for (int64_t panel = first; panel < last; panel++) {
    const int64_t vector = panel * height;
    pack(skipVectors(source, vector), smaller<int64_t>(height, total - vector), storageHeight, plan.product->k, plan.numUnits,
         target + panel * storageHeight * plan.numUnits);
  }
}

inline void runPackTask(const Plan& plan, const Engine& engine, bool mustRound, int64_t task) {
  const Product& product = *plan.product;
  if (plan.isDirect) return copyRows(product.a, product.m, product.k, mustRound, plan.packedA);
  if (task < plan.packTasksA) {
    const int64_t first = task * plan.panelsPerPackTask;
    const int64_t last = smaller(first + plan.panelsPerPackTask, plan.numPanelsA);
    packPanels(product.a, engine.packA, first, last, product.m, plan.height, plan.storageHeight, plan, plan.packedA);
  } else {
    const int64_t first = (task - plan.packTasksA) * plan.panelsPerPackTask;
    const int64_t last = smaller(first + plan.panelsPerPackTask, plan.numPanelsB);
    packPanels(product.b, engine.packB, first, last, product.n, plan.columns, plan.columns, plan, plan.packedB);
  }
}

// One block of c: steps of k outermost, then panels of b, then panels of a.
inline void runBlock(const Plan& plan, const Engine& engine, ThreadPool& pool, int64_t task, int thread) {
  const Product& product = *plan.product;
  const int64_t firstA = task / plan.blocksAcross * plan.blockPanelsA, lastA = smaller(firstA + plan.blockPanelsA, plan.numPanelsA);
  const int64_t firstB = task % plan.blocksAcross * plan.blockPanelsB, lastB = smaller(firstB + plan.blockPanelsB, plan.numPanelsB);
  const int64_t sumsSize = int64_t{plan.storageHeight} * plan.columns;
  const bool isOneStep = plan.numUnits <= kStepUnits;
  const int64_t numTiles = isOneStep ? 1 : (lastA - firstA) * (lastB - firstB);
  auto* sums = static_cast<float*>(pool.threadScratch(thread, kThreadSums, numTiles * sumsSize * sizeof(float)));
  const MicroKernel run = plan.isNarrow ? engine.runNarrow : engine.run;
  const auto panelOfA = [&](int64_t panel, int64_t unit) { return plan.packedA + (panel * plan.numUnits + unit) * plan.storageHeight; };
  const auto panelOfB = [&](int64_t panel, int64_t unit) { return plan.packedB + (panel * plan.numUnits + unit) * plan.columns; };
  if (engine.begin != nullptr) engine.begin(plan.height);
  int64_t unit = 0;
  do {
    const int64_t units = smaller(kStepUnits, plan.numUnits - unit);
    // What a micro-kernel should fetch ahead: panels of a while they are new to this step, then the next panel of b in
    // pieces, and during the last panel of b the panels of a of the next step.
    const auto nextFetch = [&](int64_t panelA, int64_t panelB) -> const float* {
      if (panelB == firstB && panelA + 1 < lastA) return panelOfA(panelA + 1, unit);
      if (panelB + 1 == lastB) return panelOfA(panelA, unit + units);
      const int64_t piece = (panelA - firstA) * 16;
      return panelOfB(panelB + 1, unit) + (piece < plan.columns ? piece : 0) * units;
    };
    const bool isLast = unit + units >= plan.numUnits;
    float* tile = sums;
    for (int64_t panelB = firstB; panelB < lastB; panelB++) {
      const float* b = panelOfB(panelB, unit);
      const int64_t column = panelB * plan.columns;
      for (int64_t panelA = firstA; panelA < lastA; panelA++) {
        const float* next = nextFetch(panelA, panelB);
        run(plan.height, units, panelOfA(panelA, unit), b, tile, unit == 0, next);
        const int64_t row = panelA * plan.height;
        if (isLast)
          writeBlock(tile, plan.columns, product.c, row, column, smaller<int64_t>(plan.height, product.m - row),
                     smaller<int64_t>(plan.columns, product.n - column));
        if (!isOneStep) tile += sumsSize;
      }
    }
    unit += units;
  } while (unit < plan.numUnits);
  if (engine.end != nullptr) engine.end();
}

inline int64_t countBlocks(const Plan& plan) {
  if (plan.isDirect) return ceilDivide(plan.product->n, kDirectColumns);
  return ceilDivide(plan.numPanelsA, plan.blockPanelsA) * ceilDivide(plan.numPanelsB, plan.blockPanelsB);
}

// Cuts blocks until there are a few per thread.
inline void balanceBlocks(Plan* plans, int64_t count, int numThreads) {
  const int64_t wanted = numThreads == 1 ? 1 : 4 * numThreads;
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++) total += countBlocks(plans[i]);
  for (bool canCut = true; total < wanted && canCut;) {
    canCut = false;
    total = 0;
    for (int64_t i = 0; i < count; i++) {
      Plan& plan = plans[i];
      const int64_t rows = smaller(plan.blockPanelsA, plan.numPanelsA), across = smaller(plan.blockPanelsB, plan.numPanelsB);
      if (!plan.isDirect && (rows > 1 || across > 1)) {
        if (rows * plan.height >= across * plan.columns && rows > 1) plan.blockPanelsA = (rows + 1) / 2;
        else if (across > 1) plan.blockPanelsB = (across + 1) / 2;
        else plan.blockPanelsA = (rows + 1) / 2;
        canCut = true;
      }
      total += countBlocks(plan);
    }
  }
}

// Runs products whose packed factors fit into scratch together.
inline void runPlans(Plan* plans, int64_t count, const Engine& engine, bool mustRound, ThreadPool& pool) {
  balanceBlocks(plans, count, pool.numThreads());
  int64_t packedUnits = 0, numPackTasks = 0, numBlocks = 0;
  for (int64_t i = 0; i < count; i++) packedUnits += packedUnitsA(plans[i]) + packedUnitsB(plans[i]);
  auto* packed = static_cast<float*>(pool.sharedScratch(kSharedPacked, (packedUnits + 16 * 2 * count) * sizeof(float)));
  for (int64_t i = 0; i < count; i++) {
    Plan& plan = plans[i];
    plan.packedA = packed;
    packed += roundUp(packedUnitsA(plan), 16);
    plan.packedB = plan.product->packedB == nullptr ? packed : plan.product->packedB;
    packed += roundUp(packedUnitsB(plan), 16);
    plan.firstPackTask = numPackTasks;
    plan.firstBlockTask = numBlocks;
    plan.blocksAcross = plan.isDirect ? 1 : ceilDivide(plan.numPanelsB, plan.blockPanelsB);
    numPackTasks += countPackTasks(plan);
    numBlocks += countBlocks(plan);
  }
  parallelFor(pool, numPackTasks, [&](int64_t task, int) {
    const Plan& plan = findPlan(plans, count, &Plan::firstPackTask, task);
    runPackTask(plan, engine, mustRound, task - plan.firstPackTask);
  });
  parallelFor(pool, numBlocks, [&](int64_t task, int thread) {
    const Plan& plan = findPlan(plans, count, &Plan::firstBlockTask, task);
    const int64_t block = task - plan.firstBlockTask;
    if (!plan.isDirect) return runBlock(plan, engine, pool, block, thread);
    const int64_t column = block * kDirectColumns;
    multiplyDirect(*plan.product, plan.packedA, mustRound, column, smaller(kDirectColumns, plan.product->n - column));
  });
}

// Runs independent products, in groups whose packed factors fit into kMaxPackedBytes each (at least one product).
inline void runBatch(const Product* products, int64_t count, bool useBf16, FewRows fewRows, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  auto* plans = static_cast<Plan*>(pool.sharedScratch(kSharedPlan, (count + 1) * sizeof(Plan)));
  constexpr int64_t maxUnits = 2 * kMaxPackedBytes / 4;
  int64_t numPlans = 0, units = 0;
  for (int64_t i = 0; i < count; i++) {
    if (products[i].m == 0 || products[i].n == 0) continue;
    const Plan plan = planProduct(products[i], engine, fewRows);
    const int64_t more = packedUnitsA(plan) + packedUnitsB(plan);
    if (numPlans > 0 && units + more > maxUnits) {
      runPlans(plans, numPlans, engine, useBf16, pool);
      numPlans = units = 0;
    }
    plans[numPlans++] = plan;
    units += more;
  }
  if (numPlans > 0) runPlans(plans, numPlans, engine, useBf16, pool);
}

// The number of units that b takes when packed whole.
inline int64_t packedLength(int64_t n, int64_t k, bool useBf16) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const Product product = {.m = 1, .n = n, .k = k};
  return packedUnitsB(planProduct(product, engine, FewRows::packed));
}

// Packs the whole of b as products with it and `useBf16` read it.
inline void packWhole(const Operand& b, int64_t n, int64_t k, bool useBf16, float* target, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const Product product = {.b = b, .m = 1, .n = n, .k = k};
  const Plan plan = planProduct(product, engine, FewRows::packed);
  parallelRanges(pool, plan.numPanelsB, plan.panelsPerPackTask, [&](int64_t first, int64_t last, int) {
    packPanels(b, engine.packB, first, last, n, plan.columns, plan.columns, plan, target);
  });
}

// Runs one product of any size, cutting it into pieces whose packed factors fit into kMaxPackedBytes each.
inline void multiply(const Product& product, bool useBf16, ThreadPool& pool, FewRows fewRows = FewRows::direct) {
  const int64_t vectorBytes = larger<int64_t>(1, product.k) * (useBf16 && bf16Engine().kPerUnit == 2 ? 2 : 4);
  const int64_t most = larger(blockSize(), kMaxPackedBytes / vectorBytes / blockSize() * blockSize());
  const bool isWhole = isDirect(product, fewRows);
  const int64_t columns = isWhole || product.packedB != nullptr ? product.n : most;
  const int64_t rows = isWhole ? product.m : most;
  for (int64_t column = 0; column < product.n; column += columns) {
    for (int64_t row = 0; row < product.m; row += rows) {
      Product piece = product;
      piece.a = skipVectors(product.a, row);
      piece.b = skipVectors(product.b, column);
      piece.c = skip(product.c, row, column);
      piece.m = smaller(rows, product.m - row);
      piece.n = smaller(columns, product.n - column);
      runBatch(&piece, 1, useBf16, fewRows, pool);
    }
  }
}

}  // namespace selkie::SELKIE_ISA
