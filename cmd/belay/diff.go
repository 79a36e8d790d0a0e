package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// Exit codes of `belay diff`, which are those of diff.
const (
	exitDiffers = 1
	exitTrouble = 2
)

func newDiff(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var number int
	cmd := &cobra.Command{
		Use:   "diff SYNC",
		Short: "Show what would change in the cluster if a stored release were applied now",
		Long: `Show what would change in the cluster if a stored release were applied now. Without --release that is the one that
runs, so that what is shown is drift. The API server is asked, with your rights, and nothing is written. The values of
Secrets are masked.

Exit codes: 0 there is no difference; 1 there is one; 2 trouble.`,
		Example: "  belay diff shop -n shop\n  belay diff shop -n shop --release 41",
		Args: func(cmd *cobra.Command, args []string) error {
			return troubled(cobra.ExactArgs(1)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := open(cmd, flags, args[0])
			if err != nil {
				return troubled(err)
			}
			differences, err := s.diff(cmd, number)
			if printed := printDiff(cmd.OutOrStdout(), differences); err == nil {
				err = printed
			}
			if err == nil && len(differences) > 0 {
				return exit{exitDiffers, ""}
			}
			return troubled(err)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return troubled(err) })
	cmd.Flags().IntVar(&number, "release", 0, "the release to compare with; the default is the one that runs")
	flags.AddFlags(cmd.Flags())
	return cmd
}

func troubled(err error) error {
	if err == nil {
		return nil
	}
	return exit{exitTrouble, err.Error()}
}

// change is a difference, and the release that would make it.
type change struct {
	cluster.Difference
	release int
}

// diff compares the cluster with a release, 0 for the one that runs.
func (s *stored) diff(cmd *cobra.Command, number int) ([]change, error) {
	records, err := s.records(cmd)
	if err != nil {
		return nil, err
	}
	runs := sync.StateOf(records).Running()
	if number == 0 && runs != nil {
		number = runs.Number
	}
	record, err := s.record(records, number)
	if err != nil {
		return nil, err
	}
	release, err := s.journal.Load(cmd.Context(), record.Number)
	if err != nil {
		return nil, err
	}
	running := manifests.Release{}
	if runs != nil {
		if running, err = s.journal.Load(cmd.Context(), runs.Number); err != nil {
			return nil, err
		}
	}
	// The stored objects have their namespaces, and the rights are those of whoever asks.
	objects, err := s.cluster.Objects(s.journal.Sync(), v1alpha1.Spec{Apply: v1alpha1.Apply{Ignore: s.sync.Spec.Apply.Ignore}})
	if err != nil {
		return nil, err
	}
	differences, err := objects.Preview(cmd.Context(), release, running)
	var changes []change
	for _, d := range differences {
		changes = append(changes, change{d, number})
	}
	return changes, err
}

func printDiff(w io.Writer, changes []change) error {
	for _, c := range changes {
		text, err := c.unified()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// unified is a change as a unified diff.
func (c change) unified() (string, error) {
	from, to := fmt.Sprintf("%s (live)", c.ID), fmt.Sprintf("%s (release %d)", c.ID, c.release)
	switch {
	case c.Live == nil:
		from = fmt.Sprintf("%s (missing)", c.ID)
	case c.Would == nil && c.LetGo:
		to = fmt.Sprintf("%s (would be let go of, and stay)", c.ID)
	case c.Would == nil:
		to = fmt.Sprintf("%s (would be deleted)", c.ID)
	}
	before, err := linesOf(c.Live)
	if err != nil {
		return "", err
	}
	after, err := linesOf(c.Would)
	if err != nil {
		return "", err
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: before, B: after, FromFile: from, ToFile: to, Context: 3})
}

// linesOf is an object's YAML; no lines where there is none.
func linesOf(content map[string]any) ([]string, error) {
	if content == nil {
		return nil, nil
	}
	text, err := yaml.Marshal(content)
	return slices.Collect(strings.Lines(string(text))), err
}
