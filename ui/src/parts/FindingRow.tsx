// How a finding shows in lists.
import type { Finding } from "../api/client";
import { to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Ago } from "./Ago";
import { Link } from "./Link";
import type { Column } from "./Rows";
import { Severity } from "./Severity";
import { Raw } from "./Text";

/** Where a finding is: its block, else its asset. */
export function place(finding: Finding): string {
  const { position } = finding;
  return position == null ? finding.asset : `${position.chain} ${position.height}`;
}

export function useFindingColumns(): Column<Finding>[] {
  const t = useWords();
  return [
    { name: t.columns.severity, className: "c-severity", cell: (finding) => <Severity of={finding.severity} /> },
    {
      name: t.columns.what,
      className: "c-what",
      cell: (finding) => (
        <Link href={to(["findings", finding.id])}>
          <Raw>{finding.title}</Raw>
        </Link>
      ),
    },
    { name: t.columns.source, className: "c-source optional", cell: (finding) => <Raw>{finding.source}</Raw> },
    { name: t.columns.where, className: "c-where mono", cell: (finding) => <Raw>{place(finding)}</Raw> },
    { name: t.columns.state, className: "c-state", cell: (finding) => word(t.statuses, finding.status) },
    { name: t.columns.when, className: "c-when number", cell: (finding) => <Ago at={finding.seen_at} /> },
  ];
}
