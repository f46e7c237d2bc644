@F1
Feature: Data sets and provenance
  A supplier registers data with its origin and licence and commits to every record, so that nobody,
  the supplier included, can change a record later without being found.

  Background:
    Given a consortium with its founding policy

  Scenario: A record can be proven, and an altered copy is found out
    Given the hospital registered a data set
    When the hospital commits the records "a,b,c,d"
    Then the version commits to 4 records
    And the hospital can prove that record "c" was in version 1
    And a copy in which record "b" was altered is reported as changed in "b" only
    And a copy without record "d" is reported as missing "d" only
    And a copy with record "e" besides is reported as having "e" added

  Scenario: A version that extends the last one proves that nothing before it changed
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the hospital commits the records "a,b,c"
    Then the version commits to 3 records
    And the version "extends" the one before

  Scenario: A version that changes old records is called a replacement
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the hospital commits the records "b,c"
    Then the version "replaces" the one before

  Scenario: Two clients that commit the unchanged file at once lose nothing
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When 4 clients of the hospital commit the records "a,b,c" at once
    Then versions 1 to 5 are intact and prove record "b"

  Scenario: Only the owner adds versions
    Given the hospital registered a data set
    When the lab commits the root of some records to it
    Then it is refused as "not-the-owner"

  Scenario: A root without its size says nothing
    Given the hospital registered a data set
    When the hospital commits a root without a size
    Then it is refused as "root-without-size"

  Scenario: A version whose parent root differs is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the hospital commits a second root over another parent
    Then it is refused as "parent-root-differs"

  Scenario: A consistency proof that fails is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the hospital claims to extend it with a proof that does not hold
    Then it is refused as "consistency-proof-fails"

  Scenario: A record id that repeats is refused before anything is committed
    Given the hospital registered a data set
    When the hospital commits the records "a,b,a"
    Then it is refused as "record-id-repeated"

  Scenario: A licence nobody knows is refused
    When the hospital registers a data set under the licence "Trust-Me-1.0"
    Then it is refused as "licence-unknown"

  Scenario: A card that another organisation recorded first can be recorded again, and says so
    Given the hospital registered a data set with a card
    When the lab registers a data set with the same card
    Then it says that the hospital recorded the same bytes first

  Scenario: A version commits to the names and the order of its fields
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the hospital commits the records "a,b" with their columns exchanged
    Then the version "replaces" the one before
    And it commits to other columns than the one before

  Scenario: A derived version names its parents and the activity
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c,d"
    When the lab commits a version that was filtered from it
    Then upstream of the lab's version is the hospital's, by the relation "filter"

  Scenario: A root that another organisation committed to is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b"
    When the lab commits the hospital's root to a data set of its own
    Then it is refused as "digest-taken"

  Scenario: Text that is not normalised is refused
    When the hospital registers a data set whose title is not in normal form C
    Then it is refused as "not-normalised"
    And the refusal names the field "/title"

  Scenario: A floating-point number is refused, and its field is named
    When the lab records a run that starts at a fraction of a millisecond
    Then it is refused as "float-refused"
    And the refusal names the field "/started"

  Scenario: A split of a version is a selection of its records
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c,d,e,f,g,h"
    When the hospital splits it into "train=0.5,test=0.5" by the seed "7"
    Then each record is proven to be in one part, by its leaf in the version, and in no other
    And a run of the lab over the training part has that part upstream, and not the other

  Scenario: A split by subjects puts no patient in training and test both
    Given the hospital registered a data set on the basis of consent
    And the hospital committed records of "ann,bob,ann,cid,dan,bob,eve,ann,fay,gus,hal,ida,jon,kim,leo,mia,ned,oda", who consent to research
    When the hospital splits it by subjects into "train=0.5,test=0.5"
    Then each patient's records are proven to be in one part, and the parts have all of them

  Scenario: A version that names no subjects is not split by them
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c,d"
    When the hospital splits it by subjects into "train=0.5,test=0.5"
    Then it is refused as "no-subjects"

  Scenario: What consent permits is selected, as the map in force has it
    Given the hospital registered a data set on the basis of consent
    And the hospital committed records of "ann,bob,ann", who consent to research
    When the subject "bob" withdraws
    And the hospital selects what is permitted for "research"
    Then the selection has 2 records, and 1 was left out as "ConsentWithdrawn"
    And the record of bob is not in it

  Scenario: A selection that names a record which the version does not have is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the hospital selects the records "a,z"
    Then it is refused as "records-unknown"

  Scenario: A selection that names a record twice is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the hospital selects the records "a,b,a"
    Then it is refused as "record-id-repeated"

  Scenario: A selection of nothing is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the hospital selects what is permitted for "care"
    Then it is refused as "nothing-selected"

  Scenario: A selection for a purpose that nobody knows is refused
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the hospital selects what is permitted for "marketing"
    Then it is refused as "unknown-term"

  Scenario: Only who holds the records of a version chooses among them
    Given the hospital registered a data set
    And the hospital committed the records "a,b,c"
    When the lab selects the records "a,b"
    Then it is refused as "records-not-held"
