@F4
Feature: Training log and lineage
  A model's version names the run that made it, the run names the data it read, and nobody can close a
  circle or leave a parent out.

  Background:
    Given a consortium with its founding policy

  Scenario: Upstream and downstream agree
    Given the lab trained a model on the hospital's data
    Then upstream of the model are the run and the data set version
    And downstream of the data set version are the run and the model
    And every organisation's gateway gives the same lineage

  Scenario: Lineage is answered as of an earlier height
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    When the regulator quarantines the first version
    Then before the second version was recorded nothing was made from the first
    And before the quarantine the second version needs no review
    And the second version is marked for review, with the path to the first

  Scenario: A run cannot end before it starts
    When the lab records a run that ends before it starts
    Then it is refused as "run-ends-before-it-starts"

  Scenario: A run over data that nobody registered is refused
    When the lab records a run over a data set version that does not exist
    Then it is refused as "parent-missing"

  Scenario: A run whose copy of the data has another root is refused
    Given the lab trained a model on the hospital's data
    When the lab records a run over the same version with another root
    Then it is refused as "artifact-altered"

  Scenario: A model version is not its own parent
    Given the lab trained a model on the hospital's data
    When the lab declares the model version its own parent
    Then it is refused as "self-parent"

  Scenario: A circle is refused
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    When the lab declares the second version a parent of the first
    Then it is refused as "lineage-cycle"

  Scenario: A version whose files do not make its digest is refused
    Given the lab trained a model on the hospital's data
    When the lab records a version whose digest is not that of its files
    Then it is refused as "artifact-altered"

  Scenario: What was made from a quarantined model needs review
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    When the regulator quarantines the first version
    Then the second version is marked for review, with the path to the first

  Scenario: What was trained on more records than a quarantined version needs review
    Given the lab trained a model on what extends the hospital's first version
    When the regulator quarantines the first version of the data
    Then the model is marked for review, with the path through the version that extends it

  Scenario: What was trained on a replacement of a quarantined version needs none
    Given the lab trained a model on what replaces the hospital's first version
    When the regulator quarantines the first version of the data
    Then the model needs no review, and the first version of the data is shown as superseded

  Scenario: What descends from a withdrawn selection needs review
    Given the hospital selected what a patient permitted for research
    And the lab trained a model on the selection
    When the patient withdraws, which affects the selection
    Then the run and the model are marked for review, with the path to the selection

  Scenario: The effective licence of a model is the meet of its ancestors'
    Given the lab trained a model on data that credits its source and on data for non-commercial use
    Then what its ancestors' licences come to is "CC-BY-NC-4.0"
    And its effective licence is "CC-BY-NC-SA-4.0", for credit, non-commercial use and sharing alike

  Scenario: A licence that a far ancestor does not fit is named with the path
    Given the lab merged a model under "Apache-2.0" into one under "MPL-2.0" and that into one under "GPL-2.0-only"
    Then no licence keeps all of them, and the path leads to the one under "Apache-2.0"

  Scenario: A licence wider than the ancestors allow is refused, and the path is named
    Given the lab trained a model on data of the hospital that may not be used commercially
    When the lab records a version of it that may be
    Then it is refused as "licence-too-wide"
    And the refusal names the path from the version through the run to the data

  Scenario: A real training records itself while it runs
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the lab trains a classifier on it inside a run
    Then the run on the ledger has the classifier's parameters and its accuracy

  Scenario: A model that descends from a quarantined one is not submitted
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    When the regulator quarantines the first version
    And the lab submits the second version
    Then it is refused as "tainted"
    And the refusal names the path from the second version to the first

  Scenario: A model that descends from a quarantined one is not endorsed
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    And the lab submitted the second version
    When the regulator quarantines the first version
    And the hospital endorses the second version
    Then it is refused as "tainted"
    And the refusal names the path from the second version to the first
    And the hospital's inbox shows that the first version taints the second

  Scenario: A model that descends from a quarantined one does not advance
    Given the lab trained a model on the hospital's data
    And the lab fine-tuned a second version from the first
    And the lab submitted the second version
    And the hospital endorsed the second version
    And the regulator endorsed the second version
    When the regulator quarantines the first version
    And the lab deploys the second version
    Then it is refused as "tainted"
    And the refusal names the path from the second version to the first

  Scenario: A run over quarantined data is recorded and marked
    Given the lab trained a model on the hospital's data
    When the regulator quarantines the first version of the data
    And the lab records another run over it
    Then the run bears a mark with the path to the data

  Scenario: A quarantine by one member lapses unless a second confirms it
    Given the lab trained a model on the hospital's data
    When the regulator quarantines the first version
    And the policy's period has passed
    Then the first version is a "draft"
    When the hospital quarantines the first version
    And the regulator confirms the quarantine
    And the policy's period has passed
    Then the first version is a "quarantined"

  Scenario: The amendment quorum lifts a quarantine
    Given the lab trained a model on the hospital's data
    When the regulator quarantines the first version
    And the lab votes for the end of the quarantine
    Then the first version is a "quarantined"
    When the hospital votes for the end of the quarantine
    Then the first version is a "draft"
