package main

import (
	"github.com/spf13/cobra"

	"github.com/belay-gitops/belay/manifests/install"
)

func newInstall() *cobra.Command {
	options := install.Options{}
	cmd := &cobra.Command{
		Use:     "install",
		Short:   "Print the manifests that install the agent",
		Example: "  belay install | kubectl apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := install.Manifests(options)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&options.Namespace, "namespace", "belay", "the namespace to install into")
	f.StringVar(&options.Image, "image", "ghcr.io/belay-gitops/belay:"+version, "the agent's image")
	f.StringArrayVar(&options.Args, "agent-arg", nil, "a further argument of the agent, such as --allow-http; may be given several times")
	f.BoolVar(&options.OnlyCRDs, "crds-only", false, "print the custom resource definition alone")
	return cmd
}
