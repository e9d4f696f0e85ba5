// The page's begin.
import "@mantine/core/styles/default-css-variables.css";
import "@mantine/core/styles/UnstyledButton.css";
import "@mantine/core/styles/Button.css";
import "@mantine/core/styles/Input.css";
import "./style.css";

import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { client } from "./api/client";
import { listen } from "./api/live";
import { shown, theme } from "./lib/theme";
import { Shell } from "./parts/Shell";
import { Boundary } from "./parts/States";

function Page() {
  // Variables and classes come from files: nothing is written into the page, so the strictest
  // content security policy holds.
  return (
    <MantineProvider forceColorScheme={shown(theme.use())} withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={client}>
        <Boundary>
          <Shell />
        </Boundary>
      </QueryClientProvider>
    </MantineProvider>
  );
}

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
  void listen();
}
