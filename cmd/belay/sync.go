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
	var also requests
	cmd := &cobra.Command{
		Use:     "sync SYNC",
		Short:   "Have the agent look at the remote now",
		Example: "  belay sync shop -n shop\n  belay sync shop -n shop --retry && belay wait shop -n shop\n  belay sync shop -n shop --resolve",
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
			ask(sync, also, time.Now())
			if err := c.Patch(cmd.Context(), sync, client.MergeFrom(before)); err != nil {
				return fmt.Errorf("asking for a sync of %s/%s: %w", namespace, args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sync of %s/%s asked for; follow it with: belay wait %s -n %s\n", namespace, args[0], args[0], namespace)
			return nil
		},
	}
	cmd.Flags().BoolVar(&also.retry, "retry", false, "try a refused release again, although nothing has changed")
	cmd.Flags().BoolVar(&also.resolve, "resolve", false, "ask for the tags' present digests, although this very text was deployed before with others")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// requests are what may be asked for besides a look at the remote.
type requests struct{ retry, resolve bool }

// ask sets the annotations that the agent acts on.
func ask(sync *v1alpha1.Sync, also requests, now time.Time) {
	if sync.Annotations == nil {
		sync.Annotations = map[string]string{}
	}
	at := now.UTC().Format(time.RFC3339Nano)
	sync.Annotations[v1alpha1.AnnotationSyncAt] = at
	if also.retry {
		sync.Annotations[v1alpha1.AnnotationRetryAt] = at
	}
	if also.resolve {
		sync.Annotations[v1alpha1.AnnotationResolveAt] = at
	}
}
