package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

func newHealth() *cobra.Command {
	var files []string
	var sync string
	var format output
	cmd := &cobra.Command{
		Use:   "health -f FILE...",
		Short: "Say how objects in files are, by their status, as the agent would",
		Long: `Say how objects in files are, by their status, as the agent would: Healthy, Progressing, Failed, Suspended, Unknown or
Missing, with the reason. No cluster is asked, so that what the agent sees of the pods behind a workload is not in it.

A file holds one or more objects as YAML or JSON, or a List; of a directory, all .yaml, .yml and .json files below it are
read; - is standard input. A file that cannot be read is told of in its place, and the exit status is 1.`,
		Example: `  kubectl get deployments,certificates -A -o json | belay health -f -
  belay health -f cases/ -o json
  belay health --sync sync.yaml -f database.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := rulesOf(sync)
			if err != nil {
				return err
			}
			reader := objectReader{stdin: cmd.InOrStdin()}
			found, err := reader.read(append(files, args...))
			if err != nil {
				return err
			}
			return printHealth(cmd, format, found, rules)
		},
	}
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "a file or directory with objects, or - for standard input; more may follow")
	cmd.Flags().StringVar(&sync, "sync", "", "a file with a Sync, whose spec.health.expressions count")
	format.addTo(cmd)
	return cmd
}

// healthRow is what is said of one object, or of a file that cannot be read.
type healthRow struct {
	File       string              `json:"file"`
	APIVersion string              `json:"apiVersion,omitempty"`
	Kind       string              `json:"kind,omitempty"`
	Namespace  string              `json:"namespace,omitempty"`
	Name       string              `json:"name,omitempty"`
	Verdict    manifests.Condition `json:"verdict"`
	Reason     string              `json:"reason"`
	Message    string              `json:"message"`
	// Bearing is what the verdict means for a release, where that is not usual.
	Bearing manifests.Bearing `json:"bearing,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func printHealth(cmd *cobra.Command, format output, found []readObject, rules health.Rules) error {
	rows := make([]healthRow, len(found))
	table := make([][]string, len(found))
	unread := 0
	for i, f := range found {
		rows[i] = f.judge(rules)
		r := rows[i]
		object, message := r.Kind+"/"+r.Name, r.Message
		if r.Namespace != "" {
			object = r.Kind + "/" + r.Namespace + "/" + r.Name
		}
		if r.Error != "" {
			object, message = "-", r.Error
			unread++
		}
		table[i] = []string{r.File, object, string(r.Verdict), orDash(r.Reason), orDash(message)}
	}
	if err := format.print(cmd.OutOrStdout(), rows, []string{"FILE", "OBJECT", "HEALTH", "REASON", "MESSAGE"}, table); err != nil {
		return err
	}
	if unread > 0 {
		return fmt.Errorf("%d of %d entries tell of a file that cannot be read", unread, len(rows))
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (f readObject) judge(rules health.Rules) healthRow {
	if f.err != nil {
		return healthRow{File: f.file, Verdict: manifests.Unknown, Error: f.err.Error()}
	}
	u := &unstructured.Unstructured{Object: f.content}
	verdict := health.Of(u, rules)
	return healthRow{
		File: f.file, APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(),
		Verdict: verdict.Condition, Reason: verdict.Reason, Message: verdict.Message, Bearing: verdict.Bearing,
	}
}
