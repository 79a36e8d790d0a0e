package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/render"
)

func newRender() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "render DIR",
		Short: "Print the objects that a directory renders to, as the agent would see it",
		Long: `Print the objects that a directory renders to, as the agent would see it: no network, nothing outside --root.
Images are not resolved.`,
		Example: "  belay render deploy/overlays/prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			process := render.Process{Command: []string{self, renderChild}}
			objects, err := process.Build(cmd.Context(), os.DirFS(root), args[0])
			if err != nil {
				return err
			}
			for _, object := range objects.Objects() {
				text, err := yaml.Marshal(object.Unstructured().Object)
				if err != nil {
					return fmt.Errorf("printing %s: %w", object, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "---\n# %s\n%s", object.File, text)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", ".", "the repository's root, which DIR is relative to")
	return cmd
}
