/**
 * @file Writes `examples/`: passages about people of the Almanac's validation split, whom the shipped model has never
 * read about, and questions about them in wordings that no training text contains.
 *
 *     npm run -s examples
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { allQuestions, createWorld, examinationPassage, type WordingSplit } from "../src/tasks/index.ts";

const numPeople = 4;
const folder = fileURLToPath(new URL("../examples/", import.meta.url));

await mkdir(`${folder}documents`, { recursive: true });
const lines: string[] = [];
for (const person of createWorld().validation.slice(0, numPeople)) {
  const file = `${person.name.toLowerCase().replaceAll(" ", "-")}.txt`;
  await writeFile(`${folder}documents/${file}`, `${examinationPassage(person, "report").context}\n`);
  for (const use of ["selection", "report"] as const satisfies readonly WordingSplit[])
    for (const question of allQuestions(person, use)) lines.push(JSON.stringify({ passage: file, use, ...question }));
}
await writeFile(`${folder}questions.jsonl`, `${lines.join("\n")}\n`);
