export function LocalModelsPage() {
  return null;
}
