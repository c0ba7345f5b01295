import { isNotServed } from "@/api/problem.ts";

const MAX_RETRIES = 2;

/** For routes that servers did not always have: what is not there does not come by asking again. */
export const retryServed = (failures: number, error: Error): boolean => !isNotServed(error) && failures < MAX_RETRIES;
