package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func newSync(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var retry bool
	cmd := &cobra.Command{
		Use:     "sync SYNC",
		Short:   "Have the agent look at the remote now",
		Example: "  belay sync shop -n shop\n  belay sync shop -n shop --retry && belay wait shop -n shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := connect(flags)
			if err != nil {
				return err
			}
			sync, err := read(cmd, c, namespace, args[0])
			if err != nil {
				return err
			}
			before := sync.DeepCopy()
			ask(sync, retry, time.Now())
			if err := c.Patch(cmd.Context(), sync, client.MergeFrom(before)); err != nil {
				return fmt.Errorf("asking for a sync of %s/%s: %w", namespace, args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sync of %s/%s asked for; follow it with: belay wait %s -n %s\n", namespace, args[0], args[0], namespace)
			return nil
		},
	}
	cmd.Flags().BoolVar(&retry, "retry", false, "try a refused release again, although nothing has changed")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// ask sets the annotations that the agent acts on.
func ask(sync *v1alpha1.Sync, retry bool, now time.Time) {
	if sync.Annotations == nil {
		sync.Annotations = map[string]string{}
	}
	at := now.UTC().Format(time.RFC3339Nano)
	sync.Annotations[v1alpha1.AnnotationSyncAt] = at
	if retry {
		sync.Annotations[v1alpha1.AnnotationRetryAt] = at
	}
}
