import { render, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { Markdown } from "./Markdown.tsx";

const html = (text: string, isLive = false) => render(<Markdown text={text} isLive={isLive} />).container;

describe("untrusted Markdown", () => {
  it("runs no scripts and keeps no raw HTML", () => {
    const page = html('hello <script>alert(1)</script><img src=x onerror=alert(1)> <b onclick="x">bold</b>\n\n<iframe src="https://evil.example"></iframe>');
    expect(page.querySelector("script, iframe, img, b")).toBeNull();
    expect(page.innerHTML).not.toMatch(/onerror|onclick/);
  });

  it("keeps words in angle brackets that are no HTML", () => {
    expect(html("It returns Option<String> or `<T>`, see <your name>").textContent).toBe("It returns Option<String> or <T>, see <your name>");
    expect(html("a<br>b").querySelector("br")).not.toBeNull();
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

  it("numbers lists from where they start, keeps tight lists tight and aligns columns", () => {
    const page = html("3. a\n4. b\n\n- x\n\n  y\n\n| n |\n| -: |\n| 1 |\n\nnote[^1]\n\n[^1]: small print");
    expect(page.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect(page.querySelector("ol p")).toBeNull();
    expect(page.querySelectorAll("ul p")).toHaveLength(2);
    expect(page.querySelector("td")?.className).toBe("text-right");
    expect(page.textContent).toContain("small print");
  });

  it("resolves reference links", () => {
    expect(html("[a][x]\n\n[x]: https://example.com/a").querySelector("a")?.getAttribute("href")).toBe("https://example.com/a");
  });

  it("colours a fence once its language is there, without losing a character", async () => {
    const { container, rerender } = render(<Markdown text={"Look:\n```rust\nlet a = 1;\nlet"} isLive />);
    await waitFor(() => expect(container.querySelector(".tok-keyword")?.textContent).toBe("let"));
    const first = container.querySelector(".tok-keyword");
    rerender(<Markdown text={"Look:\n```rust\nlet a = 1;\nlet b = 2;\n```\n\nDone."} isLive />);
    expect(container.querySelector("pre code")?.textContent).toBe("let a = 1;\nlet b = 2;");
    expect(container.querySelector(".tok-keyword")).toBe(first);
  });

  it("keeps the elements of finished blocks when more arrives", () => {
    const { container, rerender } = render(<Markdown text={"first\n\nsec"} isLive />);
    const first = container.querySelector("p");
    rerender(<Markdown text={"first\n\nsecond\n\nthird"} isLive />);
    expect(container.querySelector("p")).toBe(first);
    expect(container.querySelectorAll("p")).toHaveLength(3);
  });
});
