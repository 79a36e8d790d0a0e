package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func newRollback(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var to int
	var reason string
	cmd := &cobra.Command{
		Use:   "rollback SYNC --reason TEXT",
		Short: "Have the agent go back to an earlier release now, without Git",
		Long: `Have the agent go back to an earlier release now: the objects that are stored, with the digests they had, whatever
Git and the registry say. Nothing is written to Git. What is gone back from is held until there is a new commit, or until
belay sync --retry asks for it; belay wait exits with 2 then. The way to make it permanent is git revert.`,
		Example: `  belay rollback shop -n shop --reason "the cart loses items"
  belay rollback shop -n shop --to 41 --reason "the cart loses items"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errors.New("--reason is empty: say why, for whoever meets the held commit")
			}
			s, err := open(cmd, flags, args[0])
			if err != nil {
				return err
			}
			return s.rollback(cmd, to, reason)
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the release to go back to; the default is the newest healthy one before the one that runs")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is told with the held commit")
	_ = cmd.MarkFlagRequired("reason") // there is such a flag
	flags.AddFlags(cmd.Flags())
	return cmd
}

// rollback asks the agent to go back, and tells how it goes on.
func (s *stored) rollback(cmd *cobra.Command, to int, reason string) error {
	records, err := s.records(cmd)
	if err != nil {
		return err
	}
	target, err := sync.Target(records, to)
	if err != nil {
		return fmt.Errorf("Sync %s: %w", s.name(), err)
	}
	if _, err := s.journal.Load(cmd.Context(), target.Number); err != nil {
		return err // the agent would find that too, later
	}
	before := s.sync.DeepCopy()
	request := v1alpha1.RollbackRequest{
		At: time.Now().UTC().Format(time.RFC3339Nano), To: target.Number, By: s.cluster.Who(cmd.Context()), Reason: reason,
	}
	if err := askBack(s.sync, request); err != nil {
		return err
	}
	if err := s.client.Patch(cmd.Context(), s.sync, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("asking for a rollback of Sync %s: %w", s.name(), err)
	}
	tellRollback(cmd.OutOrStdout(), s.sync, target)
	return nil
}

// askBack sets the annotation that the agent acts on.
func askBack(sync *v1alpha1.Sync, request v1alpha1.RollbackRequest) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if sync.Annotations == nil {
		sync.Annotations = map[string]string{}
	}
	sync.Annotations[v1alpha1.AnnotationRollback] = string(text)
	return nil
}

// tellRollback says what was asked for, how to follow it, and how it ends.
func tellRollback(w io.Writer, sync *v1alpha1.Sync, target manifests.Record) {
	which := fmt.Sprintf("%s -n %s", sync.Name, sync.Namespace)
	fmt.Fprintf(w, `rollback of %s/%s to release %d (commit %s) asked for
follow it with: belay wait %s    (exit code 2 once it is done: what Git wants is held then)
it is held until there is a new commit, or: belay sync %s --retry
`, sync.Namespace, sync.Name, target.Number, commitWords(target.Commit), which, which)
	if sync.Spec.Suspend {
		fmt.Fprintln(w, "spec.suspend is true: nothing happens until it is false")
	}
	fmt.Fprintln(w, permanently(target, sync.Status.Wanted))
}

func commitWords(c manifests.Commit) string {
	if c.Subject == "" {
		return shortHash(c.Hash)
	}
	return fmt.Sprintf("%s %q", shortHash(c.Hash), c.Subject)
}

// permanently tells how Git comes to want what is gone back to.
func permanently(target manifests.Record, wanted *v1alpha1.Wanted) string {
	switch {
	case wanted == nil || wanted.Commit == "":
		return fmt.Sprintf("What Git wants is not known yet. To make it permanent, revert what came after %s.", shortHash(target.Commit.Hash))
	case target.Commit.Hash == "":
		return fmt.Sprintf("Git still wants %s. The commit of release %d is not known: revert in Git what came after it.", shortHash(wanted.Commit), target.Number)
	case wanted.Commit == target.Commit.Hash:
		return fmt.Sprintf("Git wants %s, the commit of release %d too: there is nothing to revert. They differ in what its tags pointed to, or in the Sync's spec.",
			shortHash(wanted.Commit), target.Number)
	}
	return fmt.Sprintf("Git still wants %s. To make it permanent:  git revert --no-edit %s..%s",
		shortHash(wanted.Commit), shortHash(target.Commit.Hash), shortHash(wanted.Commit))
}

// rollbackPending tells that a rollback was asked for which the agent has neither acted on nor refused. What is no
// request is not waited for.
func rollbackPending(sync *v1alpha1.Sync) bool {
	var request v1alpha1.RollbackRequest
	err := json.Unmarshal([]byte(sync.Annotations[v1alpha1.AnnotationRollback]), &request)
	return err == nil && request.At != "" && request.At != sync.Status.LastHandledRollbackAt
}
