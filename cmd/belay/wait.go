package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func newWait(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var commit string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait SYNC",
		Short: "Wait until a commit is deployed and healthy, telling what it waits for",
		Long: `Wait until a commit is deployed and healthy, telling what it waits for.

A Sync does not tell of a commit that changes nothing it reads, unless it is asked to look. So where the status names
another commit than the one waited for, the agent is asked, as by "belay sync".

Exit codes: 0 it is; 1 it was refused before anything was written, or another error; 2 it was rolled back;
3 the timeout is over.`,
		Example: `  git push && belay wait shop -n shop --commit "$(git rev-parse HEAD)" --timeout 5m`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := connect(flags)
			if err != nil {
				return err
			}
			w := waiter{client: c, key: client.ObjectKey{Namespace: namespace, Name: args[0]}, commit: commit, out: cmd.OutOrStdout()}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			err = w.wait(ctx)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
				return exit{exitTimeout, fmt.Sprintf("%s is not deployed after %s; last seen: %s", w.what(), timeout, w.told)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&commit, "commit", "", "the commit to wait for, or its first digits; the default is whatever Git wants")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	// `kubectl --request-timeout` would be taken for it.
	flags.Timeout = nil
	flags.AddFlags(cmd.Flags())
	return cmd
}

// waiter follows one Sync.
type waiter struct {
	client client.WithWatch
	key    client.ObjectKey
	commit string
	out    io.Writer
	told   string // the last line printed
	asked  bool   // the agent to look at the remote
}

func (w *waiter) what() string {
	if w.commit == "" {
		return "what Git wants"
	}
	return "commit " + shortHash(w.commit)
}

// wait watches until there is an answer. A watch that the API server ends is begun again.
func (w *waiter) wait(ctx context.Context) error {
	for {
		answered, err := w.follow(ctx)
		if answered || err != nil {
			return err
		}
	}
}

func (w *waiter) follow(ctx context.Context) (answered bool, err error) {
	watching, err := w.client.Watch(ctx, &v1alpha1.SyncList{}, client.InNamespace(w.key.Namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", w.key.Name)})
	if err != nil {
		return false, fmt.Errorf("watching Sync %s: %w", w.key, err)
	}
	defer watching.Stop()
	sync := &v1alpha1.Sync{}
	if err := w.client.Get(ctx, w.key, sync); err != nil {
		return false, fmt.Errorf("reading Sync %s: %w", w.key, err)
	}
	for {
		if answered, err := w.look(sync); answered {
			return true, err
		}
		w.askOnce(ctx, sync)
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case event, ok := <-watching.ResultChan():
			switch seen, isSync := event.Object.(*v1alpha1.Sync); {
			case !ok || event.Type == watch.Error:
				return false, nil
			case event.Type == watch.Deleted:
				return false, fmt.Errorf("Sync %s is deleted", w.key)
			case isSync:
				sync = seen
			}
		}
	}
}

// look prints what is new, and answers once there is an answer.
func (w *waiter) look(sync *v1alpha1.Sync) (answered bool, err error) {
	v := verdictOn(sync, w.commit)
	if v.message != w.told {
		w.told = v.message
		fmt.Fprintln(w.out, v.message)
	}
	switch {
	case !v.final:
		return false, nil
	case v.code == exitOK:
		return true, nil
	}
	return true, exit{v.code, fmt.Sprintf("%s is not deployed", w.what())}
}

// askOnce has the agent look at the remote if it wants another commit. Who may only read Syncs waits for the next poll.
func (w *waiter) askOnce(ctx context.Context, sync *v1alpha1.Sync) {
	if w.asked || !verdictOn(sync, w.commit).elsewhere {
		return
	}
	w.asked = true
	before := sync.DeepCopy()
	ask(sync, requests{}, time.Now())
	if err := w.client.Patch(ctx, sync, client.MergeFrom(before)); err != nil {
		fmt.Fprintf(w.out, "the agent cannot be asked to look now (%s), so this waits for its next poll; a commit that changes nothing of what "+
			"the Sync reads is not told then\n", apierrors.ReasonForError(err))
	}
}

// verdict is what a Sync's status says of a commit.
type verdict struct {
	final     bool
	elsewhere bool // another commit is wanted
	code      int
	message   string
}

// verdictOn reads a status: whether the commit, or with none whatever is wanted, is deployed, refused, or on its way.
func verdictOn(sync *v1alpha1.Sync, commit string) verdict {
	status := sync.Status
	message := string(status.Phase)
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.Ready); ready != nil {
		message += ": " + ready.Message
	}
	wanted := status.Wanted
	asked := sync.Annotations[v1alpha1.AnnotationSyncAt] != status.LastHandledReconcileAt || rollbackPending(sync)
	switch {
	case asked || status.ObservedGeneration != sync.Generation || wanted == nil:
		return verdict{message: strings.TrimSuffix("waiting for the agent's next look; "+message, "; ")}
	case !strings.HasPrefix(wanted.Commit, commit):
		return verdict{elsewhere: true, message: fmt.Sprintf("Git wants %s; %s", wanted.ShortCommit, message)}
	}
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.Ready)
	switch {
	case status.Phase == v1alpha1.Kept && status.Deployed != nil && status.Deployed.Commit == wanted.Commit:
		return verdict{final: true, code: exitOK, message: message}
	case ready == nil || meta.IsStatusConditionTrue(status.Conditions, v1alpha1.Reconciling):
		return verdict{message: message}
	case ready.Reason == string(v1alpha1.RolledBack), ready.Reason == string(v1alpha1.RollbackFailed),
		status.Phase == v1alpha1.RolledBack && status.Held != nil && status.Held.Commit == wanted.Commit: // and frozen since
		return verdict{final: true, code: exitRolledBack, message: message}
	case meta.IsStatusConditionTrue(status.Conditions, v1alpha1.Stalled):
		return verdict{final: true, code: exitError, message: message}
	}
	return verdict{message: message}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
