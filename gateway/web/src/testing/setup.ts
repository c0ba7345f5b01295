// Runs before every test file: a clean page and a clean browser store.
import { cleanup } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach } from "vitest";
import { fetchMarkdownParser } from "@/lib/markdownLater.ts";

beforeAll(fetchMarkdownParser);
beforeEach(() => localStorage.clear());
afterEach(cleanup);
