/** An answer as CSV (RFC 4180). What a spreadsheet would take for a formula is told as text. */
interface Table {
  columns: { name: string }[];
  rows: (string | number | boolean | null)[][];
}

export function csv(table: Table): string {
  const lines = [table.columns.map((column) => column.name), ...table.rows];
  return lines.map((line) => line.map(cell).join(',') + '\r\n').join('');
}

function cell(value: string | number | boolean | null): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
