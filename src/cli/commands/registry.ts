/** @file `selkie registry`: what the store holds, what serves, and who decided it. */
import type { Command } from "commander";
import type { QuantisedFormat } from "../../tensor/index.ts";
import { describeExamples, type Example } from "../examples.ts";
import { type StoreVerbOptions, withStore, withWritableStore } from "../store-options.ts";
import {
  type CommonOptions,
  parseCount,
  runVerb,
  type VerbContext,
  weightsOption,
  withCommonOptions,
} from "../verb.ts";

interface RegistryOptions extends CommonOptions, StoreVerbOptions {
  readonly alias: string;
  readonly model?: string;
  readonly gate?: string;
  readonly precision?: string;
  readonly weights?: QuantisedFormat;
  readonly reason: string;
  readonly to?: string;
  readonly key: string;
  readonly expect?: string;
  readonly limit?: number;
  readonly replace?: boolean;
}

type Action = (args: readonly string[], options: RegistryOptions, context: VerbContext) => Promise<void>;
type Actions = typeof import("../registry-actions.ts");

const examples: readonly Example[] = [
  [
    "selkie adapt examples/documents --questions examples/questions.jsonl --register",
    "train an adapter, store it, ask the gate",
  ],
  ["selkie registry list", "what is stored, and what serves"],
  ["selkie registry promote 1a2b3c4d", 'examine it again and let "current" serve it; a policy is then --model @policy'],
  ['selkie ask "Who did Ivy Lynton work for?" --adapter @current', "an answer of what serves"],
  ['selkie registry rollback --reason "wrong answers"', "serve what was served before"],
  ["selkie registry verify --json", "signatures, content, log; exit code 1 if anything is wrong"],
  ["selkie registry freeze --key ~/holder.pem", "no promotions until the holder of the key lifts it"],
];

/** Runs an action of `registry-actions.ts`, which is loaded only then. */
const runAction =
  (choose: (actions: Actions) => Action) =>
  (...given: readonly unknown[]): Promise<void> => {
    const args = given.slice(0, -2) as string[]; // the last two are the options and the command
    const options = given.at(-2) as RegistryOptions;
    return runVerb(options, async (context) => choose(await import("../registry-actions.ts"))(args, options, context));
  };

/** Adds the verb and its parts to `program`. */
export function registerRegistry(program: Command): void {
  const registry = program
    .command("registry")
    .description(
      "the store of adapters and policies: list, show, diff, promote, rollback, release, verify, log, gc, freeze, seal, gate",
    )
    .addHelpText("after", () => describeExamples(examples));
  const add = (
    usage: string,
    description: string,
    choose: (actions: Actions) => Action,
    isWriting = false,
  ): Command => {
    const command = registry.command(usage).description(description);
    withCommonOptions(isWriting ? withWritableStore(command) : withStore(command));
    return command.action(runAction(choose));
  };
  add("list", "records, oldest first, with their states and aliases", ({ list }) => list);
  add("show <id>", "one record: lineage, files, judgement", ({ show }) => show);
  add("diff <id> <other>", "what differs between two records", ({ diff }) => diff);
  withExam(
    add("promote <id>", "examine a record and, if the gate lets it through, serve it", ({ promote }) => promote, true),
  ).option("--alias <name>", "what to point to it (default: current, and policy for a policy)");
  add("rollback", "serve what was served before; answers are the same to the bit", ({ rollback }) => rollback, true)
    .option("--alias <name>", "what to move", "current")
    .option("--to <id|base>", "a record that was served once, or the base model (default: what served before)")
    .option("--reason <text>", "why; goes into the log", "no reason given");
  add(
    "release <id>",
    "let a record that was quarantined or rejected be examined again, on a person's word",
    ({ release }) => release,
    true,
  ).requiredOption("--reason <text>", "why; goes into the log");
  add(
    "forget",
    "forget the key and the end of the log that this store had when it was last used here",
    ({ forget }) => forget,
  );
  add("verify", "check signatures, contents, the log, and the database against it", ({ verify }) => verify).option(
    "--expect <hash>",
    "a head that verify printed earlier; the log must still contain it",
  );
  add("log", "what happened, oldest first", ({ log }) => log).option("--limit <n>", "the last n entries", parseCount);
  add("gc", "remove files that no record refers to; records are never removed", ({ gc }) => gc, true);
  add("freeze", "refuse all promotions until the holder of the key lifts it", ({ freeze }) => freeze, true)
    .requiredOption("--key <file>", "key of the holder; a new private key is written there if there is none")
    .option("--reason <text>", "why; goes into the log", "no reason given");
  add("unfreeze", "lift the freeze", ({ unfreeze }) => unfreeze, true).requiredOption(
    "--key <file>",
    "private key of the holder",
  );
  add("seal <canaries>", "keep a copy of these canaries (.jsonl) for the exams of a model", ({ seal }) => seal, true)
    .requiredOption("--model <dir>", "the model they are for")
    .option("--replace", "take the place of canaries sealed earlier; goes into the log");
  add(
    "gate",
    "print the gate in force; save it elsewhere, edit it, and move it into the store as gate.json",
    ({ gate }) => gate,
  ).option("--gate <file>", "another file");
}

function withExam(command: Command): Command {
  return command
    .option("--model <dir>", "base model (default: the directory the record names)")
    .option("--gate <file>", "thresholds and budgets (default: gate.json in the store)")
    .option("--precision <type>", "f32 or bf16 (default: what suits the processor)")
    .addOption(weightsOption());
}
