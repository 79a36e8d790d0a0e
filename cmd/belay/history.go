package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// historyCommand is `belay history`.
type historyCommand struct {
	output      output
	release     int
	showSecrets bool
}

func newHistory(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var h historyCommand
	cmd := &cobra.Command{
		Use:   "history SYNC",
		Short: "List a Sync's releases and what became of each, or show one of them",
		Long: `List the stored releases of a Sync and what became of each, newest first. With --release, show what is known of
that one; with -o yaml or -o json too, print the objects that were applied, exactly. The values of Secrets are masked.`,
		Example: "  belay history shop -n shop\n  belay history shop -n shop --release 41\n  belay history shop -n shop --release 41 -o yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if h.showSecrets && (h.release == 0 || h.output == "") {
				return errors.New("--show-secrets is about the objects of a release: give --release and -o too")
			}
			s, err := open(cmd, flags, args[0])
			if err != nil {
				return err
			}
			if h.release != 0 {
				return h.show(cmd, s)
			}
			return h.list(cmd, s)
		},
	}
	h.output.addTo(cmd)
	cmd.Flags().IntVar(&h.release, "release", 0, "show this release")
	cmd.Flags().BoolVar(&h.showSecrets, "show-secrets", false, "print the values of Secrets too")
	flags.AddFlags(cmd.Flags())
	return cmd
}

// list prints all releases. Who may not list Secrets gets those that the Sync's status tells of.
func (h historyCommand) list(cmd *cobra.Command, s *stored) error {
	records, err := s.records(cmd)
	history := entries(records)
	if forbidden(err) {
		fmt.Fprintf(cmd.ErrOrStderr(), "belay: you may not list the Secrets of namespace %s, where the releases are: these are the latest ones, by the Sync's status\n", s.sync.Namespace)
		history, err = s.sync.Status.History, nil
	}
	if err != nil {
		return err
	}
	header := []string{"RELEASE", "COMMIT", "AUTHOR", "SUBJECT", "RESULT", "REASON", "TOOK", "WHEN"}
	return h.output.print(cmd.OutOrStdout(), history, header, historyRows(history, time.Now()))
}

// entries are records as a Sync's status has them, newest first.
func entries(records []manifests.Record) []v1alpha1.HistoryEntry {
	history := make([]v1alpha1.HistoryEntry, 0, len(records))
	for _, r := range slices.Backward(records) {
		history = append(history, sync.HistoryEntry(r))
	}
	return history
}

func historyRows(history []v1alpha1.HistoryEntry, now time.Time) [][]string {
	var rows [][]string
	for _, h := range history {
		rows = append(rows, []string{strconv.Itoa(h.Release), shortHash(h.Commit), cell(h.Author), cell(h.Subject), h.Result, cell(h.Reason),
			h.Duration.Duration.String(), duration.HumanDuration(now.Sub(h.At.Time)) + " ago"})
	}
	return rows
}

// cell is a text of other people's in a table: one line, not too long, and never empty.
func cell(text string) string {
	const most = 50
	text = oneLine(text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	if text == "" {
		return "-"
	}
	return text
}

// oneLine is a text without line breaks, and without what a terminal would obey.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }), " ")
}

func shortHash(hash string) string { return hash[:min(7, len(hash))] }
