// Runs a batch of products in one parallel step. One large product and forty small ones (an adapter each) are the same
// case: every product is cut into blocks of c, and a task computes one block from beginning to end.
//
// Blocking, after Goto & van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"). Memory beyond the level
// 2 cache is slow and shared, so a task never writes packed factors there; it packs what it needs just before use:
//   - the columns of b that a block needs, a step of k at a time, are packed into scratch that stays in the level 2 cache
//   - the rows of a stream past them panel by panel: a panel is packed into the level 1 cache (or read where it lies, when
//     the micro-kernel can) and multiplied with every panel of b while it is there
//   - sums stay in registers where k is one step, else in scratch (f32, in the level 2 cache as well) between steps; the
//     last step writes them to c, with scaling, bias and conversion
// A thread remembers what it packed last: tasks of one thread are neighbours, so a block of b is mostly packed once per
// thread however fine the cut. A b that keeps its values can be packed once for all (packWhole); then rows are the only
// thing left to pack, and with few of them the product runs as fast as b can be read.
// The order of summation depends on k alone, so results do not depend on threads or on how c is cut, nor a row of c on the
// other rows.
#pragma once

#include "amx.h"
#include "micro-kernel.h"
#include "parallel.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kLeastTaskWork = 1 << 20;  // multiplications; a smaller task costs more to hand out than it saves
constexpr int64_t kTasksPerThread = 4;
constexpr size_t kLeastScratch = 2 << 20;  // a huge page

// Scratch slots of the thread pool that products use; other kernels may use the rest between products.
enum SharedSlot { kSharedPlan = 0, kSharedWorkspaces = 1, kSharedProducts = 2, kSharedFirstFree = 3 };
enum ThreadSlot { kThreadBlock = 0, kThreadFirstFree = 1 };

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

// Columns that Output::finish gets at a time; only the last piece of a row may have fewer.
inline int64_t columnsPerPiece(const Product& product, bool useBf16) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  return product.n <= engine.narrowColumns ? engine.narrowColumns : engine.columns;
}

// How one product is cut; made before the work starts, read by all threads.
struct Plan {
  const Product* product;
  bool isNarrow;
  int height;         // vectors of a panel of a
  int storageHeight;  // the same with padding
  int columns;        // vectors of a panel of b
  int64_t numPanelsA, numPanelsB;
  int64_t numUnits, stepUnits;
  int64_t blockPanelsA, blockPanelsB;
  int64_t groupPanelsA;  // panels of a that are packed at a time
  int64_t blocksDown;
  int64_t firstBlock;

  bool isOneStep() const { return stepUnits >= numUnits; }
};

// The number of panels per block that cuts `numPanels` evenly into blocks of at most `most` panels.
inline int64_t evenBlock(int64_t numPanels, int64_t most) {
  most = larger<int64_t>(1, most);
  return numPanels == 0 ? 1 : ceilDivide(numPanels, ceilDivide(numPanels, most));
}

// Chooses the largest blocks whose working set stays in the level 2 cache.
inline void fitIntoCache(Plan& plan) {
  const auto cache = static_cast<int64_t>(cacheSizes().l2);
  const int64_t vectorBytes = larger<int64_t>(1, plan.stepUnits) * 4;
  // Neighbouring vectors of a share cache lines unless k is contiguous, so then many are packed at a time.
  plan.groupPanelsA = plan.product->a.isKContiguous ? 1 : larger<int64_t>(1, cache / 8 / (vectorBytes * plan.storageHeight));
  int64_t most = cache / 2 / vectorBytes;
  plan.blockPanelsA = plan.numPanelsA;
  if (!plan.isOneStep()) {  // the sums of a block and a step of both factors
    for (most = 64; most < 512 && (most + 32) * (most + 32) * 4 + 2 * (most + 32) * vectorBytes <= cache * 7 / 8;) most += 32;
    plan.blockPanelsA = evenBlock(plan.numPanelsA, most / plan.height);
  }
  plan.blockPanelsB = evenBlock(plan.numPanelsB, most / plan.columns);
}

// Sizes of one product; fills all but the number of its first block.
inline Plan planProduct(const Product& product, const Engine& engine) {
  Plan plan = {};
  plan.product = &product;
  plan.isNarrow = product.n <= engine.narrowColumns;
  plan.columns = plan.isNarrow ? engine.narrowColumns : engine.columns;
  plan.numPanelsA = ceilDivide(product.m, engine.maxHeight);
  plan.height = static_cast<int>(roundUp(ceilDivide(product.m, plan.numPanelsA), engine.heightStep));
  plan.numPanelsA = ceilDivide(product.m, plan.height);
  plan.storageHeight = static_cast<int>(roundUp(plan.height, engine.storageMultiple));
  plan.numPanelsB = ceilDivide(product.n, plan.columns);
  plan.numUnits = roundUp(ceilDivide(product.k, engine.kPerUnit), engine.unitMultiple);
  plan.stepUnits = plan.numUnits <= engine.maxStepUnits ? plan.numUnits : engine.stepUnits;
  fitIntoCache(plan);
  return plan;
}

inline int64_t countBlocks(const Plan& plan) {
  return ceilDivide(plan.numPanelsA, plan.blockPanelsA) * ceilDivide(plan.numPanelsB, plan.blockPanelsB);
}

// Cuts blocks until there are a few per thread.
inline void balanceBlocks(Plan* plans, int64_t count, int numThreads) {
  const int64_t wanted = numThreads == 1 ? 1 : kTasksPerThread * numThreads;
  int64_t total = 0;
  for (int64_t i = 0; i < count; i++) total += countBlocks(plans[i]);
  for (bool canCut = true; total < wanted && canCut;) {
    canCut = false;
    total = 0;
    for (int64_t i = 0; i < count; i++) {
      Plan& plan = plans[i];
      const int64_t rows = smaller(plan.blockPanelsA, plan.numPanelsA), across = smaller(plan.blockPanelsB, plan.numPanelsB);
      const int64_t work = larger<int64_t>(rows * plan.height, 16) * across * plan.columns * plan.product->k;  // reading b counts too
      if ((rows > 1 || across > 1) && work >= 2 * kLeastTaskWork) {
        if (across > 1 && (rows == 1 || across * plan.columns * 2 > rows * plan.height)) plan.blockPanelsB = (across + 1) / 2;
        else plan.blockPanelsA = (rows + 1) / 2;
        canCut = true;
      }
      total += countBlocks(plan);
    }
  }
}

// What a thread has packed, kept from task to task of one batch.
struct alignas(64) Workspace {
  float* columns;  // a step of b
  float* rows;     // a step of a group of panels of a
  float* sums;
  const Plan* columnsOf;
  int64_t firstColumnPanel, columnsUnit;
  const Plan* rowsOf;
  int64_t firstRowPanel, rowsUnit;
};

inline Operand skipUnits(Operand operand, int64_t numUnits, const Engine& engine) {
  const int64_t k = numUnits * engine.kPerUnit;
  operand.data = at(operand.data, operand.isBf16, operand.isKContiguous ? k : k * operand.stride);
  return operand;
}

// Packs `units` units from `unit` on of the panels first .. last, each `vectors` vectors in the space of `storage`.
inline void packPanels(const Operand& factor, PackPanel pack, const Engine& engine, int64_t total, int64_t k, int vectors, int storage,
                       int64_t first, int64_t last, int64_t unit, int64_t units, float* target) {
  // Where vectors are contiguous, all panels advance together, so that memory is read in long runs.
  const int64_t run = factor.isKContiguous ? larger<int64_t>(units, 1) : Vec::width;
  for (int64_t done = 0; done < units; done += run) {
    const Operand source = skipUnits(factor, unit + done, engine);
    const int64_t some = smaller(run, units - done), left = k - (unit + done) * engine.kPerUnit;
    for (int64_t panel = first; panel < last; panel++) {
      const int64_t vector = panel * vectors;
      pack(skipVectors(source, vector), smaller<int64_t>(vectors, total - vector), storage, left, some,
           target + ((panel - first) * units + done) * storage);
    }
  }
}

// The panels of b of a block for one step: packed long ago, packed by the last task, or packed now.
struct ColumnPanels {
  const float* data;
  int64_t stride;  // from one panel to the next
};

inline ColumnPanels columnPanels(const Plan& plan, const Engine& engine, Workspace& space, int64_t first, int64_t last, int64_t unit, int64_t units) {
  const Product& product = *plan.product;
  if (product.packedB != nullptr)
    return {product.packedB + (first * plan.numUnits + unit) * plan.columns, plan.numUnits * plan.columns};
  if (space.columnsOf != &plan || space.firstColumnPanel != first || space.columnsUnit != unit) {
    packPanels(product.b, engine.packB, engine, product.n, product.k, plan.columns, plan.columns, first, last, unit, units, space.columns);
    space.columnsOf = &plan;
    space.firstColumnPanel = first;
    space.columnsUnit = unit;
  }
  return {space.columns, units * plan.columns};
}

// The panels first .. last of a, packed unless the micro-kernel can read them where they lie.
struct RowPanels {
  RowPanel panel;
  int64_t strideBytes;  // from one panel to the next
};

inline RowPanels rowPanels(const Plan& plan, const Engine& engine, Workspace& space, int64_t first, int64_t last, int64_t unit, int64_t units) {
  const Product& product = *plan.product;
  const bool isWhole = last * plan.height <= product.m && product.k % (engine.kPerUnit * engine.unitMultiple) == 0;
  if (engine.readsRows && isWhole && product.a.isBf16 && product.a.isKContiguous) {
    const Operand rows = skipUnits(skipVectors(product.a, first * plan.height), unit, engine);
    return {{static_cast<const float*>(rows.data), rows.stride * 2, 64}, plan.height * rows.stride * 2};
  }
  if (space.rowsOf != &plan || space.firstRowPanel != first || space.rowsUnit != unit) {
    packPanels(product.a, engine.packA, engine, product.m, product.k, plan.height, plan.storageHeight, first, last, unit, units, space.rows);
    space.rowsOf = &plan;
    space.firstRowPanel = first;
    space.rowsUnit = unit;
  }
  return {{space.rows, 64, int64_t{plan.storageHeight} * 64}, units * plan.storageHeight * 4};
}

// One step of k of one block of c. `sums` has a tile per pair of panels, or one in all when there is only one step.
inline void runStep(const Plan& plan, const Engine& engine, Workspace& space, int64_t firstA, int64_t lastA, int64_t firstB, int64_t lastB, int64_t unit) {
  const Product& product = *plan.product;
  const int64_t units = smaller(plan.stepUnits, plan.numUnits - unit);
  const bool isLast = unit + units >= plan.numUnits;
  const MicroKernel run = plan.isNarrow ? engine.runNarrow : engine.run;
  const ColumnPanels b = columnPanels(plan, engine, space, firstB, lastB, unit, units);
  const int64_t tileSize = int64_t{plan.storageHeight} * plan.columns;
  // A finished tile is written while the next one is computed.
  const float* finished = nullptr;
  int64_t finishedRow = 0, finishedColumn = 0;
  const auto writeFinished = [&] {
    writeBlock(finished, plan.columns, product.c, finishedRow, finishedColumn, smaller<int64_t>(plan.height, product.m - finishedRow),
               smaller<int64_t>(plan.columns, product.n - finishedColumn));
  };
  float* tile = space.sums;
  for (int64_t group = firstA; group < lastA; group += plan.groupPanelsA) {
    const int64_t end = smaller(group + plan.groupPanelsA, lastA);
    const RowPanels a = rowPanels(plan, engine, space, group, end, unit, units);
    for (int64_t panelA = group; panelA < end; panelA++) {
      RowPanel rows = a.panel;
      rows.data += (panelA - group) * a.strideBytes / 4;
      for (int64_t panelB = firstB; panelB < lastB; panelB++) {
        run(plan.height, units, rows, b.data + (panelB - firstB) * b.stride, tile, unit == 0);
        if (finished != nullptr) writeFinished();
        if (isLast) {
          finished = tile;
          finishedRow = panelA * plan.height;
          finishedColumn = panelB * plan.columns;
        }
        tile = plan.isOneStep() ? (tile == space.sums ? tile + tileSize : space.sums) : tile + tileSize;
      }
    }
  }
  if (finished != nullptr) writeFinished();
}

inline void runBlock(const Plan& plan, const Engine& engine, Workspace& space, int64_t block) {
  const int64_t firstA = block % plan.blocksDown * plan.blockPanelsA, lastA = smaller(firstA + plan.blockPanelsA, plan.numPanelsA);
  const int64_t firstB = block / plan.blocksDown * plan.blockPanelsB, lastB = smaller(firstB + plan.blockPanelsB, plan.numPanelsB);
  if (engine.begin != nullptr) engine.begin(plan.height);
  int64_t unit = 0;
  do runStep(plan, engine, space, firstA, lastA, firstB, lastB, unit);
  while ((unit += plan.stepUnits) < plan.numUnits);
  if (engine.end != nullptr) engine.end();
}

// Gives every thread scratch for the largest block of all plans.
inline Workspace* createWorkspaces(const Plan* plans, int64_t count, ThreadPool& pool) {
  int64_t columns = 0, rows = 0, sums = 0;
  for (int64_t i = 0; i < count; i++) {
    const Plan& plan = plans[i];
    const int64_t numTiles = plan.isOneStep() ? 2 : plan.blockPanelsA * plan.blockPanelsB;
    if (plan.product->packedB == nullptr) columns = larger(columns, plan.blockPanelsB * plan.columns * plan.stepUnits);
    rows = larger(rows, smaller(plan.groupPanelsA, plan.blockPanelsA) * plan.storageHeight * plan.stepUnits);
    sums = larger(sums, numTiles * plan.storageHeight * plan.columns);
  }
  columns = roundUp(columns, 16);
  rows = roundUp(rows, 16);
  const int numThreads = pool.numThreads();
  auto* spaces = static_cast<Workspace*>(pool.sharedScratch(kSharedWorkspaces, numThreads * sizeof(Workspace)));
  for (int thread = 0; thread < numThreads; thread++) {
    const size_t numBytes = static_cast<size_t>(columns + rows + sums) * sizeof(float);
    auto* memory = static_cast<float*>(pool.threadScratch(thread, kThreadBlock, larger(numBytes, kLeastScratch)));
    spaces[thread] = {.columns = memory, .rows = memory + columns, .sums = memory + columns + rows};
  }
  return spaces;
}

// The plan whose blocks include `block`; blocks are numbered through all plans.
inline const Plan& findPlan(const Plan* plans, int64_t count, int64_t block) {
  int64_t low = 0, high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (plans[middle].firstBlock <= block) low = middle;
    else high = middle;
  }
  return plans[low];
}

// Runs independent products.
inline void runBatch(const Product* products, int64_t count, bool useBf16, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  auto* plans = static_cast<Plan*>(pool.sharedScratch(kSharedPlan, (count + 1) * sizeof(Plan)));
  int64_t numPlans = 0, numBlocks = 0;
  for (int64_t i = 0; i < count; i++)
    if (products[i].m > 0 && products[i].n > 0) plans[numPlans++] = planProduct(products[i], engine);
  balanceBlocks(plans, numPlans, pool.numThreads());
  for (int64_t i = 0; i < numPlans; i++) {
    plans[i].blocksDown = ceilDivide(plans[i].numPanelsA, plans[i].blockPanelsA);
    plans[i].firstBlock = numBlocks;
    numBlocks += countBlocks(plans[i]);
  }
  Workspace* spaces = createWorkspaces(plans, numPlans, pool);
  parallelFor(pool, numBlocks, [&](int64_t block, int thread) {
    const Plan& plan = findPlan(plans, numPlans, block);
    runBlock(plan, engine, spaces[thread], block - plan.firstBlock);
  });
}

// The number of units that b takes when packed whole.
inline int64_t packedLength(int64_t n, int64_t k, bool useBf16) {
  const Product product = {.m = 1, .n = n, .k = k};
  const Plan plan = planProduct(product, useBf16 ? bf16Engine() : plainEngine());
  return plan.numPanelsB * plan.columns * plan.numUnits;
}

// Packs the whole of b as products with it and `useBf16` read it.
inline void packWhole(const Operand& b, int64_t n, int64_t k, bool useBf16, float* target, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const Product product = {.b = b, .m = 1, .n = n, .k = k};
  const Plan plan = planProduct(product, engine);
  parallelRanges(pool, plan.numPanelsB, 8, [&](int64_t first, int64_t last, int) {
    packPanels(b, engine.packB, engine, n, k, plan.columns, plan.columns, first, last, 0, plan.numUnits,
               target + first * plan.columns * plan.numUnits);
  });
}

inline void multiply(const Product& product, bool useBf16, ThreadPool& pool) { runBatch(&product, 1, useBf16, pool); }

}  // namespace selkie::SELKIE_ISA
