/** A number among the fields of the start form. Kept as text, so that an empty field stays empty. */
import { Field, Input } from "@/ui/field";
import type { StartForm } from "./start-form";

/** What the parts of the form share. */
export interface FieldsProps {
  form: StartForm;
  set: (part: Partial<StartForm>) => void;
  problem: (field: string) => string | undefined;
}

export interface NumberFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  error?: string;
  min?: number;
  max?: number;
  step?: number;
  placeholder?: string;
  testId?: string;
}

export function NumberField({ label, value, onChange, error, testId, ...limits }: NumberFieldProps) {
  return (
    <Field label={label} error={error}>
      {(wiring) => (
        <Input
          {...wiring}
          {...limits}
          type="number"
          inputMode="decimal"
          value={value}
          data-testid={testId}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
