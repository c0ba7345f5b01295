import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { Markdown } from "./Markdown.tsx";

const html = (text: string, isLive = false) => render(<Markdown text={text} isLive={isLive} />).container;

describe("untrusted Markdown", () => {
  it("runs no scripts and keeps no raw HTML", () => {
    const page = html('hello <script>alert(1)</script><img src=x onerror=alert(1)> <b onclick="x">bold</b>\n\n<iframe src="https://evil.example"></iframe>');
    expect(page.querySelector("script, iframe, img, b")).toBeNull();
    expect(page.innerHTML).not.toMatch(/onerror|onclick/);
  });

  it("makes no links of dangerous addresses", () => {
    const page = html("[a](javascript:alert(1)) [b](data:text/html,x) [c](JAVASCRIPT:alert(1)) <javascript:alert(1)>");
    expect(page.querySelectorAll("a")).toHaveLength(0);
    expect(page.textContent).toContain("a");
  });

  it("opens links elsewhere, without handing over this page", () => {
    html("[docs](https://example.com/)");
    expect(screen.getByRole("link", { name: "docs" }).getAttribute("rel")).toContain("noopener");
    expect(screen.getByRole("link", { name: "docs" }).getAttribute("target")).toBe("_blank");
  });

  it("loads no image from elsewhere: it becomes a link", () => {
    const page = html("![chart](https://evil.example/pixel.png)");
    expect(page.querySelector("img")).toBeNull();
    expect(page.querySelector("a")?.textContent).toBe("Image: chart");
  });

  it("shows an image of our own origin", () => {
    expect(html("![shot](/api/v1/chats/files/abc)").querySelector("img")?.getAttribute("src")).toBe("/api/v1/chats/files/abc");
  });
});

describe("Markdown while it streams", () => {
  it("shows a half-written fence as code", () => {
    expect(html("```rust\nfn main() {", true).querySelector("pre code")?.textContent).toBe("fn main() {");
  });

  it("shows tables, task lists and code with its language", () => {
    const page = html("| a | b |\n| - | - |\n| 1 | 2 |\n\n- [x] done\n\n```sh\nls\n```");
    expect(page.querySelectorAll("td")).toHaveLength(2);
    expect(page.querySelector("input[type=checkbox]")).not.toBeNull();
    expect(page.textContent).toContain("sh");
  });

  it("keeps the elements of finished blocks when more arrives", () => {
    const { container, rerender } = render(<Markdown text={"first\n\nsec"} isLive />);
    const first = container.querySelector("p");
    rerender(<Markdown text={"first\n\nsecond\n\nthird"} isLive />);
    expect(container.querySelector("p")).toBe(first);
    expect(container.querySelectorAll("p")).toHaveLength(3);
  });
});
