package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/cluster"
)

func newRoot() *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:           "belay",
		Short:         "Keep a cluster at what Git says; put the last healthy release back when a new one fails",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newAgent(flags),
		newInstall(),
		newGet(flags),
		newHealth(),
		newHistory(flags),
		newExplain(flags),
		newImages(flags),
		newDiff(flags),
		newRollback(flags),
		newSync(flags),
		newWait(flags),
		newRender(),
		newRenderChild(),
		newDemo(),
		newVersion(),
	)
	return root
}

// connect makes a client for Syncs, and tells the namespace that the flags or the kubeconfig name.
func connect(flags *genericclioptions.ConfigFlags) (client.WithWatch, string, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.UserAgent = userAgent()
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c, err := cluster.Syncs(config)
	return c, namespace, err
}
