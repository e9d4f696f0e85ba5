// Shows a definition as YAML, as the config would write it. For reading and copying: any text that
// could mean something else is quoted.

const PLAIN = /^[A-Za-z_][A-Za-z0-9_./ -]*$/;
const WORDS = /^(true|false|null|yes|no|on|off|y|n|~)$/i;

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "null";
  const plain = PLAIN.test(value) && !WORDS.test(value) && value.trim() === value;
  return plain ? value : JSON.stringify(value);
}

function isEmpty(value: unknown): boolean {
  return value !== null && typeof value === "object" && Object.keys(value).length === 0;
}

/** Lines of a value, indented. */
function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      if (item === null || typeof item !== "object" || isEmpty(item)) return [`${indent}- ${scalar(item)}`];
      const [first = "", ...rest] = lines(item, `${indent}  `);
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  return Object.entries(value as object).flatMap(([name, inner]: [string, unknown]) => {
    if (inner === null || typeof inner !== "object" || isEmpty(inner)) return [`${indent}${scalar(name)}: ${scalar(inner)}`];
    return [`${indent}${scalar(name)}:`, ...lines(inner, `${indent}  `)];
  });
}

export function yaml(value: unknown): string {
  if (value === null || typeof value !== "object") return scalar(value);
  return lines(value, "").join("\n");
}
