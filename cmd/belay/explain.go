package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// explainCommand is `belay explain`.
type explainCommand struct {
	output output
	watch  bool
	all    bool
}

func newExplain(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var e explainCommand
	cmd := &cobra.Command{
		Use:   "explain SYNC",
		Short: "Show what a Sync's objects are like, down to their pods, and what its release waits for",
		Long: `Show the objects of the release that runs, or is on its way, as a tree: the workloads with their ReplicaSets, Jobs and
pods, each with its health and the reason for it, and above it what the release waits for. Objects that are healthy and
have nothing behind them are counted only; --all names them too.

With --watch the tree is shown anew whenever something changes.`,
		Example: "  belay explain shop -n shop\n  belay explain shop -n shop -w",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.watch && e.output != "" {
				return errors.New("-w shows a tree for people: leave -o out")
			}
			for {
				s, err := open(cmd, flags, args[0])
				if err != nil {
					return err
				}
				if err := e.run(cmd, s); !errors.Is(err, errOtherRelease) {
					return err
				}
			}
		},
	}
	e.output.addTo(cmd)
	cmd.Flags().BoolVarP(&e.watch, "watch", "w", false, "show it anew whenever something changes")
	cmd.Flags().BoolVar(&e.all, "all", false, "name the objects that are healthy, too")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// errOtherRelease says that what is shown is not what is to be shown any more.
var errOtherRelease = errors.New("another release runs")

func (e explainCommand) run(cmd *cobra.Command, s *stored) error {
	release, err := s.running(cmd, "what is shown is the workloads of that namespace that bear the Sync's labels")
	if err != nil {
		return err
	}
	view, err := s.view(release)
	if err != nil {
		return err
	}
	seen := releaseShown(s.sync)
	show := func() error {
		now, err := view.Sync(s.sync)
		switch {
		case err != nil:
			return err
		case now == nil:
			return fmt.Errorf("Sync %s is deleted", s.name())
		case releaseShown(now) != seen:
			return errOtherRelease
		}
		return e.show(cmd.OutOrStdout(), explanationOf(now, view.Tree()))
	}
	for {
		if err := view.Read(cmd.Context()); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "belay: not all is shown: "+err.Error())
		}
		if err := show(); err != nil || !e.watch {
			return err
		}
		if err := view.Follow(cmd.Context(), show); err != nil {
			return err
		}
	}
}

// view prepares a look at a release's objects; with none, at what bears the Sync's labels in its namespace.
func (s *stored) view(release *manifests.Release) (*cluster.View, error) {
	spec := s.sync.Spec
	spec.Apply.ServiceAccountName = "" // a person looks with his own rights
	objects, err := s.cluster.Objects(types.NamespacedName{Namespace: s.sync.Namespace, Name: s.sync.Name}, spec)
	if err != nil {
		return nil, err
	}
	if release == nil {
		return objects.ViewLabelled()
	}
	return objects.View(release.Objects.IDs())
}

// releaseShown tells one release from the next by a Sync's status.
func releaseShown(s *v1alpha1.Sync) string {
	newest, phase := 0, ""
	if len(s.Status.History) > 0 {
		newest = s.Status.History[0].Release
	}
	if s.Status.Phase == v1alpha1.RollingBack || s.Status.Phase == v1alpha1.RolledBack {
		phase = "back"
	}
	return fmt.Sprint(newest, phase)
}

func (e explainCommand) show(w io.Writer, explanation explanation) error {
	if e.output != "" {
		return e.output.print(w, explanation, nil, nil)
	}
	if file, ok := w.(*os.File); ok && e.watch && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(w, "\x1b[H\x1b[2J") // to the top, and clear
	}
	explanation.write(w, e.all)
	if e.watch {
		fmt.Fprintln(w)
	}
	return nil
}
