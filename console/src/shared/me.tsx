/** Who is looking. The frame asks before it shows a page, so pages can rely on it. */
import { createContext, useContext } from "react";
import type { Me } from "@/api/session";

const MeContext = createContext<Me | null>(null);
export const MeProvider = MeContext.Provider;

export function useMe(): Me {
  const me = useContext(MeContext);
  if (!me) throw new Error("useMe is for pages behind the sign-in");
  return me;
}
