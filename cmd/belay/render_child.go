package main

import (
	"github.com/spf13/cobra"

	"github.com/belay-gitops/belay/render"
)

// renderChild is the command under which this program renders for the agent, in a process of its own.
const renderChild = "render-child"

func newRenderChild() *cobra.Command {
	return &cobra.Command{
		Use:    renderChild,
		Short:  "Render what the parent process sends on stdin",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return render.Serve(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
