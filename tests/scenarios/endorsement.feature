@F5
Feature: Endorsement by several organisations
  A model is approved when enough organisations, the required roles among them, vouch for it with
  signed statements. Nobody vouches for his own work, twice, or in another's name.

  Background:
    Given a consortium with its founding policy
    And the lab trained a model on the hospital's data

  Scenario: Two endorsements complete the quorum
    Given the lab submitted the model
    When the regulator endorses the model
    Then the model is "endorsed"
    And one more organisation is missing
    When the hospital endorses the model
    Then the model is "approved"
    And every organisation's gateway shows it as "approved"

  Scenario: The auditor must be among them
    Given the lab submitted the model
    And the hospital endorsed the model
    Then the model is "endorsed"
    And the role "auditor" is missing

  Scenario: What awaits my organisation
    Given the lab submitted the model
    Then the model is in the inbox of the hospital and of the regulator
    And the model is not in the inbox of the lab

  Scenario: The owner does not endorse its own model
    Given the lab submitted the model
    When the lab endorses the model
    Then it is refused as "own-artifact"

  Scenario: Nobody endorses twice
    Given the lab submitted the model
    And the hospital endorsed the model
    When the hospital endorses the model
    Then it is refused as "already-endorsed"

  Scenario: A draft cannot be endorsed
    When the hospital endorses the model
    Then it is refused as "wrong-stage"

  Scenario: After a withdrawal there is no second thought
    Given the lab submitted the model
    And the hospital endorsed the model
    And the hospital withdrew its endorsement
    When the hospital endorses the model
    Then it is refused as "endorsed-after-withdrawal"

  Scenario: A stage cannot be skipped
    When the lab moves the model to "deployed"
    Then it is refused as "stage-skipped"

  Scenario: A statement about other bytes is refused
    Given the lab submitted the model
    When the hospital endorses the model with a statement about another digest
    Then it is refused as "statement-digest-differs"

  Scenario: A forged signature is refused
    Given the lab submitted the model
    When the hospital endorses the model under the regulator's signature
    Then it is refused as "bad-signature"

  Scenario: A statement that another organisation signed is refused
    Given the lab submitted the model
    When the hospital endorses the model with the regulator's statement
    Then it is refused as "statement-invalid"

  Scenario: A write that one organisation's peer alone endorsed does not count
    When the lab registers a model that only its own peer endorses
    Then it is refused as "endorsement-policy"
    And the model is unknown to every organisation

  Scenario: The founding policy is written once
    When the hospital votes for another founding policy
    Then it is refused as "policy-number-wrong"

  Scenario: What is signed is shown before it is signed
    Given the lab submitted the model
    Then the hospital sees what its endorsement would say, and that the ledger would take it
    And the lab sees that its own endorsement would be refused as "own-artifact"

  Scenario: A rejection signs its reason
    Given the lab submitted the model
    When the regulator rejects the model because "the test data overlap the training data"
    Then the regulator's signed statement says why

  Scenario: A rejection for another reason than was signed is refused
    Given the lab submitted the model
    When the regulator rejects the model under a statement with another reason
    Then it is refused as "statement-invalid"

  Scenario: A statement that was dated two days ago is refused
    Given the lab submitted the model
    When the hospital endorses the model with a statement of two days ago
    Then it is refused as "statement-out-of-time"
